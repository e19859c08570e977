"""How a person works a page: with a mouse, or with the keyboard alone."""

from typing import Protocol

from playwright.sync_api import Locator, expect

MOST_STOPS = 400
# What is focused has an outline of its own, or what is drawn around or for it has one, or a ring as
# the cells of a code; its middle is in sight and not beneath something else.
FOCUS = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const drawn = e => {
    const s = getComputedStyle(e);
    return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0;
  };
  const ringed = e => getComputedStyle(e).boxShadow.includes('inset');
  const around = [...(at.labels || [])];
  for (let e = at, up = 0; e && up < 4; e = e.parentElement, up++) around.push(e);
  const beside = at.nextElementSibling ? [at.nextElementSibling] : [];
  const cells = [...(at.previousElementSibling?.children || [])];
  const shown = [at, ...around.slice(0, (at.labels || []).length), ...beside].find(e => {
    const r = e.getBoundingClientRect();
    return r.width > 4 && r.height > 4;
  }) || at;
  const r = shown.getBoundingClientRect();
  const x = Math.min(Math.max(r.x + r.width / 2, 1), innerWidth - 1);
  const y = Math.min(Math.max(r.y + r.height / 2, 1), innerHeight - 1);
  const top = document.elementFromPoint(x, y);
  const onTop = !!top && (shown.contains(top) || top.contains(shown) || around.includes(top));
  const inSight = r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth;
  const what = at.outerHTML.slice(0, 160);
  return { what, ring: [...around, ...beside].some(drawn) || cells.some(ringed), inSight, onTop };
}"""


class Hand(Protocol):
    def reach(self, thing: Locator) -> None:
        """Bring the focus there."""

    def press(self, thing: Locator) -> None:
        """Press a button or follow a link."""

    def tick(self, box: Locator) -> None:
        """Tick a check box or a switch, or choose a radio button."""

    def write(self, field: Locator, text: str) -> None:
        """Write into a field, in place of what is there."""

    def choose(self, field: Locator, label: str) -> None:
        """Choose an option of a select field."""


class Mouse:
    def reach(self, thing: Locator) -> None:
        thing.click()

    def press(self, thing: Locator) -> None:
        thing.click()

    def tick(self, box: Locator) -> None:
        box.check()

    def write(self, field: Locator, text: str) -> None:
        field.fill(text)

    def choose(self, field: Locator, label: str) -> None:
        field.select_option(label)


class Keyboard:
    """Tab to get there, and then Enter, Space or letters. Every stop on the way must be seen."""

    def reach(self, thing: Locator) -> None:
        expect(thing).to_be_visible()
        keyboard = thing.page.keyboard
        for _ in range(MOST_STOPS):
            if thing.evaluate("e => e === document.activeElement"):
                return
            keyboard.press("Tab")
            self._look_where_it_is(thing)
        raise AssertionError(f"{thing} is not reached by Tab.")

    def press(self, thing: Locator) -> None:
        self.reach(thing)
        thing.page.keyboard.press("Enter")

    def tick(self, box: Locator) -> None:
        self.reach(box)
        if not box.is_checked():
            box.page.keyboard.press("Space")
        expect(box).to_be_checked()

    def write(self, field: Locator, text: str) -> None:
        self.reach(field)
        field.page.keyboard.press("ControlOrMeta+a")
        field.page.keyboard.type(text)

    def choose(self, field: Locator, label: str) -> None:
        self.reach(field)
        field.page.keyboard.type(label)
        expect(field.locator("option:checked")).to_have_text(label)

    def _look_where_it_is(self, at: Locator) -> None:
        focus = at.page.evaluate(FOCUS)
        if focus is not None:  # the browser's own bars lie between the page's end and its start
            assert focus["ring"], f"No focus is drawn at {focus['what']}"
            assert focus["inSight"], f"Out of sight: {focus['what']}"
            assert focus["onTop"], f"Beneath something else: {focus['what']}"
