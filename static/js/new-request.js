// New Request in one go: what may be ticked and what will happen follow what is typed and ticked.
//
// <form data-new-request>
//   <fieldset data-scripted hidden disabled>  only with script;  <button data-unscripted>  only without
//   <button data-filter>                        narrows or turns the list: read in place instead of led to
//   <div data-live="catalog">, "outlook"        parts that are replaced by the same parts of the page as the server has it now
//
// The page is asked for by GET with all that is ticked, so nothing ticked is lost; the reason is never part of an address.

const TYPING_MS = 250;
const form = document.querySelector("form[data-new-request]");
const part = (root, name) => root.querySelector(`[data-live="${name}"]`);
const ticked = () => [...form.querySelectorAll("[name=target]:checked")].map((box) => box.value).sort().join();

let asked = null;
let timer = 0;

function addressNow(extra = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (["q", "flow", "integration", "resource", "permission", "target", "duration"].includes(name) && value) query.append(name, value);
  }
  for (const [name, value] of Object.entries(extra)) query.set(name, value);
  return `${location.pathname}?${query}`;
}

async function follow(names, extra) {
  asked?.abort();
  asked = new AbortController();
  const before = ticked();
  const address = addressNow(extra);
  try {
    const answer = await fetch(address, { credentials: "same-origin", signal: asked.signal });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (ticked() !== before) return void follow(names, extra);
    for (const name of names) part(form, name).replaceChildren(...part(page, name).childNodes);
    history.replaceState(null, "", address);
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

function soon(names) {
  clearTimeout(timer);
  timer = setTimeout(follow, TYPING_MS, names);
}

const plain = (duration) => duration.replace(/\s|in/g, "");

function markUsual() {
  const typed = plain(form.elements.duration.value);
  for (const usual of form.querySelectorAll("[name=usual]")) usual.checked = plain(usual.value) === typed;
}

function takeOver() {
  for (const each of form.querySelectorAll("[data-scripted]")) {
    each.hidden = false;
    each.disabled = false;
  }
  for (const each of form.querySelectorAll("[data-unscripted]")) each.hidden = true;
  markUsual();

  form.addEventListener("input", ({ target }) => {
    if (target.name === "q") soon(["shelf", "outlook"]);
    if (target.name === "duration") {
      markUsual();
      soon(["outlook"]);
    }
  });
  form.addEventListener("change", ({ target }) => {
    if (target.matches("select")) follow(["shelf", "outlook"]);
    if (target.name === "target") follow(["outlook"]);
    if (target.name === "usual") {
      form.elements.duration.value = target.value;
      follow(["outlook"]);
    }
  });
  form.addEventListener("click", async (event) => {
    const look = event.target.closest("[data-filter]");
    if (!look) return;
    event.preventDefault();
    await follow(["shelf", "outlook"], look.name ? { [look.name]: look.value } : {});
    form.querySelector("[data-live=shelf] [name=target]")?.focus();
  });
  // The first button of the form is not the one that sends, so Enter is told which is meant.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input, select")) return;
    event.preventDefault();
    if (event.target.name === "q") follow(["shelf", "outlook"]);
    else form.requestSubmit(form.querySelector("[data-send]"));
  });
  let sending = false;
  form.addEventListener("submit", (event) => {
    if (sending) event.preventDefault();
    sending = true;
  });
  addEventListener("pageshow", () => {
    sending = false;
    if (ticked()) follow(["outlook"]);
  });
}

if (form) takeOver();
