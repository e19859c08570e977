// Enter in the search of a picker searches; elsewhere in a form it sends the form.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("[data-find]")) event.preventDefault();
});
