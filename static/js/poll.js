// Polls a page while something on it is under way, and reloads it when that has changed.
//
// <div data-poll="granting-activating">...</div>
//
// The page is fetched again, often at first, and reloaded as soon as its token differs. A hidden tab waits until it is
// visible. Without script the page has a link that reloads it.

const FAST_MS = 300;
const SLOW_MS = 1000;
const FAST_POLLS = 30;
const MAX_POLLS = 600;

// A user who is leaving for another page is not brought back to this one.
let leaving = false;
addEventListener("beforeunload", () => {
  leaving = true;
});

function visible() {
  if (!document.hidden) return null;
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

async function currentToken() {
  const response = await fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html", "X-Poll": "1" } });
  if (!response.ok || response.redirected) return null;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return page.querySelector("[data-poll]")?.dataset.poll ?? "";
}

async function poll(token) {
  for (let polls = 0; polls < MAX_POLLS; polls += 1) {
    await new Promise((resolve) => setTimeout(resolve, polls < FAST_POLLS ? FAST_MS : SLOW_MS));
    await visible();
    const now = await currentToken().catch(() => null);
    if (leaving) return;
    if (now !== null && now !== token) {
      location.replace(location.href);
      return;
    }
  }
}

const element = document.querySelector("[data-poll]");
if (element) poll(element.dataset.poll);
