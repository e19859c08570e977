// Follows a request that is on its way, so that its page says by itself when it has arrived.
//
// <div data-poll="granting-activating">...</div>
//
// The page is read again, often at first; as soon as the mark differs, it is loaded anew. A tab that is out of sight asks
// nothing until it is seen again. Without script the page has a link that looks again.

const SOON_MS = 300;
const LATER_MS = 1000;
const SOON_LOOKS = 30;
const MOST_LOOKS = 600;

// Somebody who is on the way to another page is not called back to this one.
let leaving = false;
addEventListener("beforeunload", () => {
  leaving = true;
});

function seen() {
  if (!document.hidden) return null;
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

async function markNow() {
  const response = await fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return null;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return page.querySelector("[data-poll]")?.dataset.poll ?? "";
}

async function follow(mark) {
  for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
    await new Promise((resolve) => setTimeout(resolve, looks < SOON_LOOKS ? SOON_MS : LATER_MS));
    await seen();
    const now = await markNow().catch(() => null);
    if (leaving) return;
    if (now !== null && now !== mark) {
      location.replace(location.href);
      return;
    }
  }
}

const moving = document.querySelector("[data-poll]");
if (moving) follow(moving.dataset.poll);
