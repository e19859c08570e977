// Adds a copy button after every element that names what it holds:
//
// <dd data-copy="host">db.example</dd>
//
// data-copy-text puts the word "Copy" beside the icon. The value is the element's text (or an input's value); data-copy-compact: without spaces. Without script it stays
// selectable. [data-copy-file] copies the file of the link beside it, [data-print] prints.

const region = document.createElement("p");
region.className = "sr-only";
region.setAttribute("aria-live", "polite");
document.body.append(region);

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

function addButton(source) {
  const name = source.dataset.copy;
  const button = document.createElement("button");
  button.type = "button";
  const isWide = "copyText" in source.dataset;
  button.className = isWide ? "btn copy" : "icon-btn copy";
  button.setAttribute("aria-label", `Copy ${name}`);
  button.append(icon("copy"), isWide ? "Copy" : "");
  button.addEventListener("click", async () => {
    const shown = (source.value ?? source.innerText).trim();
    const text = "copyCompact" in source.dataset ? shown.replace(/\s/g, "") : shown;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(source);
      region.textContent = `${name} selected. Copy it with the keyboard.`;
      return;
    }
    region.textContent = `Copied ${name}`;
    button.replaceChildren(icon("check"), isWide ? "Copied" : "");
    setTimeout(() => button.replaceChildren(icon("copy"), isWide ? "Copy" : ""), 2000);
  });
  // A <dt>/<dd> group may hold nothing but them, so there the button goes inside.
  if (source.matches("dd")) source.append(button);
  else source.after(button);
}

for (const source of document.querySelectorAll("[data-copy]")) {
  if (navigator.clipboard) addButton(source);
}

for (const button of document.querySelectorAll("[data-copy-file]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const file = button.parentElement.querySelector("a[download]").href;
    await navigator.clipboard.writeText(decodeURIComponent(file.slice(file.indexOf(",") + 1)));
    region.textContent = button.lastElementChild.textContent = "Copied";
  });
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
