// Keyboard navigation of the approvals queue, while the focus is in it.
//
// <div data-queue> ... <ul class="queue-list"><li><a href aria-current="true">
//
// j or down: the next request, k or up: the one before; e: the reason; a and r: the buttons, which Enter then presses. In
// the reason keys are letters; Escape leaves it. Without script the queue is links and a form.

const queue = document.querySelector("[data-queue]");
const links = [...queue.querySelectorAll(".queue-list a")];
const chosen = links.findIndex((link) => link.getAttribute("aria-current") === "true");
const reason = queue.querySelector("textarea");

function move(by) {
  const next = links[chosen < 0 ? 0 : chosen + by];
  if (next) location.assign(next.href);
}

const KEYS = {
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  e: () => reason?.focus(),
  a: () => queue.querySelector("[data-key=a]")?.focus(),
  r: () => queue.querySelector("[data-key=r]")?.focus(),
};

queue.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target === reason) {
    if (event.key === "Escape") links[Math.max(chosen, 0)]?.focus();
    return;
  }
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// The page begins where its keys work, unless something refused wants to be read first.
if (!queue.querySelector("[role=alert]")) links[Math.max(chosen, 0)]?.focus({ preventScroll: true });
