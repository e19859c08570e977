// Keeps the catalog and the preview of New Request up to date while the form is filled in.
//
// <form data-new-request>
//   <fieldset data-scripted hidden disabled>  only with script;  <button data-unscripted>  only without
//   <button data-filter>                      filters or pages the catalog, in place instead of by a page load
//   <a data-pick>, <button data-star>         fill the form, and mark a favorite, in place as well
//   <div data-live="catalog">, "preview"…     parts that are replaced by those of the page as the server renders it
//
// The page is fetched by GET with every selected target, so no selection is lost; the reason is never part of an address.

const TYPING_MS = 250;
const ALL = ["picks", "catalog", "durations", "limits", "preview"];
const SELECTED = ["durations", "limits", "preview"]; // what depends on what is selected
const form = document.querySelector("form[data-new-request]");
const part = (root, name) => root.querySelector(`[data-live="${name}"]`);
const selected = () => [...form.querySelectorAll("[name=target]:checked")].map((box) => box.value).sort().join();

let running = null;
let timer = 0;

function addressNow(extra = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (["q", "flow", "integration", "resource", "permission", "target", "duration"].includes(name) && value) query.append(name, value);
  }
  for (const [name, value] of Object.entries(extra)) query.set(name, value);
  return `${location.pathname}?${query}`;
}

async function refresh(names, extra, address = addressNow(extra)) {
  running?.abort();
  running = new AbortController();
  const before = selected();
  try {
    const answer = await fetch(address, { credentials: "same-origin", signal: running.signal });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (selected() !== before) return void refresh(names, extra);
    for (const name of names) part(form, name).replaceChildren(...part(page, name).childNodes);
    if (names.includes("durations")) markUsual();
    history.replaceState(null, "", address);
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

function refreshSoon(names) {
  clearTimeout(timer);
  timer = setTimeout(refresh, TYPING_MS, names);
}

const normalized = (duration) => duration.replace(/\s|in/g, "");

function markUsual() {
  const typed = normalized(form.elements.duration.value);
  for (const usual of form.querySelectorAll("[name=usual]")) usual.checked = normalized(usual.value) === typed;
}

// Replaces what is selected, and the duration; what was typed below stays.
async function fill(address) {
  const query = new URLSearchParams(address.split("?")[1]);
  for (const box of form.querySelectorAll("[name=target]:checked")) box.checked = false;
  for (const name of ["q", "flow", "integration", "resource", "permission"]) {
    if (form.elements[name]) form.elements[name].value = query.get(name) ?? "";
  }
  if (query.has("duration")) form.elements.duration.value = query.get("duration");
  await refresh(ALL, {}, address);
}

async function mark(star) {
  const body = new URLSearchParams({ csrfmiddlewaretoken: star.value });
  const id = star.getAttribute("formaction").replace(/\D/g, "");
  const answer = await fetch(star.formAction, { method: "POST", body, credentials: "same-origin", redirect: "manual" });
  if (answer.type !== "opaqueredirect") return;
  await refresh(["picks", "catalog"]);
  form.querySelector(`[data-star][formaction*="/${id}/"]`)?.focus();
}

function start() {
  for (const each of form.querySelectorAll("[data-scripted]")) {
    each.hidden = false;
    each.disabled = false;
  }
  for (const each of form.querySelectorAll("[data-unscripted]")) each.hidden = true;
  markUsual();

  form.addEventListener("input", ({ target }) => {
    if (target.name === "q") refreshSoon(["catalog", ...SELECTED]);
    if (target.name === "duration") {
      markUsual();
      refreshSoon(["preview"]);
    }
  });
  form.addEventListener("change", ({ target }) => {
    if (target.matches("select")) refresh(["catalog", ...SELECTED]);
    if (target.name === "target") refresh(SELECTED);
    if (target.name === "usual") {
      form.elements.duration.value = target.value;
      refresh(["preview"]);
    }
  });
  form.addEventListener("click", async (event) => {
    const pick = event.target.closest("[data-pick]");
    const star = event.target.closest("[data-star]");
    if ((pick && !event.ctrlKey && !event.metaKey && !event.shiftKey) || star) event.preventDefault();
    if (pick && event.defaultPrevented) return void fill(pick.getAttribute("href"));
    if (star) return void mark(star);
    const button = event.target.closest("[data-filter]");
    if (!button) return;
    event.preventDefault();
    await refresh(["catalog", ...SELECTED], button.name ? { [button.name]: button.value } : {});
    form.querySelector("[data-live=catalog] [name=target]")?.focus();
  });
  // The first button of the form does not submit it, so Enter is handled here.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input, select")) return;
    event.preventDefault();
    if (event.target.name === "q") refresh(["catalog", ...SELECTED]);
    else form.requestSubmit(form.querySelector("[data-send]"));
  });
  let sending = false;
  form.addEventListener("submit", (event) => {
    if (sending) event.preventDefault();
    sending = true;
  });
  addEventListener("pageshow", () => {
    sending = false;
    if (selected()) refresh(SELECTED);
  });
}

if (form) start();
