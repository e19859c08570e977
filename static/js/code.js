// Leaves only the digits of what is typed or pasted into a six-digit code, so that "123 456" fits its cells.

for (const input of document.querySelectorAll("input[data-code]")) {
  input.addEventListener("input", () => {
    const digits = input.value.replace(/\D/g, "").slice(0, 6);
    if (digits !== input.value) input.value = digits;
  });
}
