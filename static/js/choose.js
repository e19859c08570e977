// Shows what belongs to the chosen radio button, and hides the rest.
//
// <form data-choose="flow"> ... <input type="radio" name="flow" value="3"> ... <div data-choice="3" hidden>
//
// Without script what belongs to the choice the page came with stays in sight.

for (const form of document.querySelectorAll("form[data-choose]")) {
  const show = () => {
    const chosen = new FormData(form).get(form.dataset.choose) ?? "";
    for (const part of form.querySelectorAll("[data-choice]")) part.hidden = part.dataset.choice !== chosen;
  };
  form.addEventListener("change", show);
  show();
}
