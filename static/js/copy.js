// Adds a copy button after every element that names what it holds:
//
// <dd data-copy="host">db.example</dd>
//
// The value is the element's text (or an input's value). Without script the value stays selectable.

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
  button.className = "icon-btn copy";
  button.setAttribute("aria-label", `Copy ${name}`);
  button.append(icon("copy"));
  button.addEventListener("click", async () => {
    const text = (source.value ?? source.innerText).trim();
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(source);
      region.textContent = `${name} selected. Copy it with the keyboard.`;
      return;
    }
    region.textContent = `Copied ${name}`;
    button.replaceChildren(icon("check"));
    setTimeout(() => button.replaceChildren(icon("copy")), 2000);
  });
  // A <dt>/<dd> group may hold nothing but them, so there the button goes inside.
  if (source.matches("dd")) source.append(button);
  else source.after(button);
}

for (const source of document.querySelectorAll("[data-copy]")) {
  if (navigator.clipboard) addButton(source);
}
