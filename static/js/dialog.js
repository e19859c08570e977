// Opens a page's form in a dialog. The link leads to a full page with the same form, so nothing depends on this.
//
// <a href="/users/3/reset-mfa/" data-dialog>Reset MFA</a>
// <form action="/users/3/reset-mfa/"><button data-dialog aria-label="Reset MFA for Ada">...</button></form>
//
// On that page the form sits in <section class="dialog" data-dialog-content aria-labelledby="...">; links in it
// marked data-dialog-close close the dialog instead of leading back.

const FIELD = "textarea, select, input:not([type=hidden], [type=checkbox], [type=radio])";
const PLAIN_CLICK = (event) =>
  event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);

async function fetchContent(href) {
  const response = await fetch(href, { credentials: "same-origin", headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return null;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return page.querySelector("[data-dialog-content]");
}

function show(content) {
  const dialog = document.createElement("dialog");
  dialog.className = content.className;
  dialog.setAttribute("aria-labelledby", content.getAttribute("aria-labelledby") ?? "");
  dialog.append(...content.childNodes);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-dialog-close]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  (dialog.querySelector("[autofocus]") ?? dialog.querySelector(FIELD))?.focus();
}

document.addEventListener("click", async (event) => {
  const opener = event.target.closest("a[data-dialog], form[action] > button[data-dialog]");
  if (!opener || !PLAIN_CLICK(event)) return;
  event.preventDefault();
  opener.closest("[popover]")?.hidePopover();
  const href = opener.href ?? opener.form.action;
  try {
    const content = await fetchContent(href);
    if (content) show(content);
    else location.assign(href);
  } catch {
    location.assign(href);
  }
});
