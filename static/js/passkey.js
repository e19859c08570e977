// Runs a passkey ceremony: fetches options, has the browser create or use a passkey, and submits the
// button's form with the answer in its hidden field "credential". Without script the style sheet hides
// the button and shows a sentence instead.

const FAILED = "That didn’t work. Try again, or use another method.";
const MESSAGES = {
  InvalidStateError: "This passkey is already on your account.",
  SecurityError: "Passkeys do not work at this address.",
};
const OLD = "This browser is too old for passkeys here. Update it, or use another method.";

async function fetchOptions(button) {
  const token = button.form.elements.namedItem("csrfmiddlewaretoken").value;
  const response = await fetch(button.dataset.options, {
    method: "POST",
    headers: { "X-CSRFToken": token, Accept: "application/json" },
    signal: AbortSignal.timeout(20_000),
  });
  const options = await response.json();
  if (!response.ok) throw new Error(options.error);
  return options;
}

async function runCeremony(button) {
  const options = await fetchOptions(button);
  if (button.dataset.passkey === "create") {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    return navigator.credentials.create({ publicKey });
  }
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return navigator.credentials.get({ publicKey });
}

function messageOf(error) {
  if (error instanceof DOMException) return MESSAGES[error.name] ?? FAILED;
  return error instanceof Error && error.constructor === Error ? error.message : FAILED;
}

for (const button of document.querySelectorAll("button[data-passkey]")) {
  const status = button.form.querySelector("[data-passkey-status]");
  const show = (text) => {
    status.textContent = text;
    status.hidden = !text;
  };
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
    button.disabled = true;
    show(OLD);
    continue;
  }
  button.addEventListener("click", async () => {
    show("");
    button.disabled = true;
    try {
      const credential = await runCeremony(button);
      button.form.elements.namedItem("credential").value = JSON.stringify(credential);
      button.form.submit();
    } catch (error) {
      show(messageOf(error));
      button.disabled = false;
      button.focus();
    }
  });
}
