// The live panel; pages also work without this file. It neither polls nor reloads the page: when the event stream
// reports a change, it fetches the page and replaces the parts marked data-live.

const text = document.body.dataset;
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

// --- announcements for screen readers ------------------------------------------------------------------------------

// One element that is never replaced, since text in a replaced part would not be announced. Lists are not announced.
function announce(words) {
  document.getElementById("anuncio").textContent = words.replace(/\s+/g, " ").trim();
}

// --- live parts -------------------------------------------------------------------------------------------------

let pending = false;
let busy = false;

async function refresh() {
  pending = true;
  if (busy) return;
  busy = true;
  while (pending) {
    pending = false;
    try {
      const answer = await fetch(location.href, { headers: { "X-Painel": "parte" }, cache: "no-store" });
      if (!answer.ok && answer.status !== 404) continue;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      await nothingPressed();
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        if (fresh) replace(part, fresh);
      }
    } catch {
      // The bank is unreachable: the stream shows that, and triggers a refresh when it reconnects.
    }
  }
  busy = false;
}

function replace(part, fresh) {
  const focus = part.contains(document.activeElement) ? document.activeElement : null;
  const known = new Set([...part.querySelectorAll("[data-tx]")].map((row) => row.dataset.tx));
  const before = part.querySelector("[data-anunciar]")?.textContent;
  patch(part, fresh);
  const after = part.querySelector("[data-anunciar]")?.textContent;
  if (after && after !== before) announce(after);
  // If the focused element is gone, its part takes the focus, so that the next Tab continues from here.
  if (focus && !focus.isConnected) {
    part.tabIndex = -1;
    part.focus({ preventScroll: true });
  }
  if (reduced || known.size === 0) return;
  for (const row of part.querySelectorAll("[data-tx]")) {
    if (!known.has(row.dataset.tx)) row.classList.add("nova");
  }
}

// Waits while a button is pressed: a click on a button that was replaced meanwhile would be lost.
let pressed = false;
const released = [];

function release() {
  // The click event follows the release.
  setTimeout(() => {
    pressed = false;
    for (const go of released.splice(0)) go();
  }, 0);
}

function nothingPressed() {
  return pressed ? new Promise((go) => released.push(go)) : Promise.resolve();
}

addEventListener("pointerdown", (event) => (pressed = event.button === 0), true);
addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") pressed = true;
}, true);
for (const end of ["pointerup", "pointercancel", "keyup", "dragend", "contextmenu"]) addEventListener(end, release, true);
// Only the blur of the window; a field blurs at each press of another one.
addEventListener("blur", (event) => event.target === window && release());

// Patches `old` into `fresh`, and keeps every element that is in both, with its focus, selection, typed text and open
// state. Runs once over both.
function patch(old, fresh) {
  const kept = new Map();
  for (const child of old.childNodes) {
    const mark = markOf(child);
    if (!kept.has(mark)) kept.set(mark, []);
    kept.get(mark).push(child);
  }
  const wantedNodes = [...fresh.childNodes].map((child) => [kept.get(markOf(child))?.shift(), child]);
  for (const left of kept.values()) for (const child of left) child.remove();
  let at = old.firstChild;
  for (const [mine, child] of wantedNodes) {
    if (!mine) {
      old.insertBefore(document.importNode(child, true), at);
    } else {
      if (mine === at) at = at.nextSibling;
      else old.insertBefore(mine, at);
      if (mine.nodeType === Node.ELEMENT_NODE) patchElement(mine, child);
      else if (mine.nodeValue !== child.nodeValue) mine.nodeValue = child.nodeValue;
    }
  }
}

// The identity of an element across refreshes.
function markOf(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return `#${node.nodeType}`;
  return `${node.localName} ${node.id || node.dataset.key || node.dataset.tx || ""}`;
}

// Attributes that this script sets: an open details element, a form being sent, a shown button.
const OWN = { details: ["open"], form: ["data-sent"], button: ["hidden", "aria-disabled"], input: ["value"] };

function patchElement(old, fresh) {
  const own = OWN[old.localName] ?? [];
  for (const name of old.getAttributeNames()) {
    if (!fresh.hasAttribute(name) && !own.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    const typed = own.includes(name) && !(name === "value" && old.type === "hidden");
    if (!typed && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.hasAttribute("data-copiar")) return;
  patch(old, fresh);
}

// --- the steps of a transaction ------------------------------------------------------------------------------------

const ORDER = { PREPARE: 1, OK: 2, NOK: 1, COMMIT: 3, ABORT: 1 };

const touched = new Set();

function passed({ tx, passo }) {
  touched.add(tx);
  for (const row of document.querySelectorAll(`[data-tx="${CSS.escape(tx)}"] .passos`)) {
    const upTo = ORDER[passo] ?? 0;
    row.querySelectorAll("i").forEach((dot, at) => {
      if (at < upTo) dot.classList.add("feito");
    });
    if (passo === "NOK" || passo === "ABORT") row.classList.add("recusada");
  }
}

// The page of a transaction refreshes at each of its steps; if the stream skipped steps, at every change until the
// outcome.
function changed({ perdidos }) {
  const only = document.querySelector("[data-so]")?.dataset.so;
  const open = document.querySelector("[data-so] .badge.aberta, [data-so] .badge.desconhecida");
  if (!only || touched.has(only) || (perdidos && open)) refresh();
  touched.clear();
}

// --- the stream ---------------------------------------------------------------------------------------------------

const light = document.getElementById("ao-vivo");

function tell(isLive) {
  if (!light) return;
  light.dataset.estado = isLive ? "vivo" : "morto";
  light.textContent = isLive ? text.vivo : text.morto;
}

let stream = null;

function listen() {
  stream = new EventSource("/painel/eventos");
  stream.addEventListener("open", () => {
    tell(true);
    refresh();
  });
  stream.addEventListener("mudou", (event) => changed(JSON.parse(event.data)));
  stream.addEventListener("passo", (event) => passed(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    tell(false);
    // The browser reconnects a broken stream, but not a refused one.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
}

if (document.querySelector("[data-live]") || light) {
  light?.removeAttribute("hidden");
  listen();
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
}

// --- copying an account number --------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copiar]");
  if (!button) return;
  const done = await copy(button.dataset.copiar);
  if (!done) return;
  const before = button.textContent;
  button.textContent = text.copiado;
  announce(`${text.copiado}: ${button.dataset.copiar}`);
  setTimeout(() => (button.textContent = before), 1500);
});

async function copy(words) {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    // Without a secure context only the selection can be copied.
    const area = document.createElement("textarea");
    area.value = words;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

for (const button of document.querySelectorAll("[data-copiar]")) button.hidden = false;
new MutationObserver(() => {
  for (const button of document.querySelectorAll("[data-copiar][hidden]")) button.hidden = false;
}).observe(document.body, { childList: true, subtree: true });

// --- the menu: open beside a wide page, folded above a narrow one ----------------------------------------------------

const menu = document.querySelector(".menu details");
const narrow = matchMedia("(max-width: 56rem)");
const fold = () => (menu.open = !narrow.matches);
narrow.addEventListener("change", fold);
fold();

// --- a form is sent once ----------------------------------------------------------------------------------------------

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.method === "post") {
    form.dataset.sent = "1";
    // The form must include the pressed button, so the button is disabled only afterwards.
    setTimeout(() => form.querySelectorAll("button").forEach((button) => button.setAttribute("aria-disabled", "true")), 0);
  }
});
addEventListener("pageshow", () => {
  for (const form of document.forms) {
    delete form.dataset.sent;
    form.querySelectorAll("button").forEach((button) => button.removeAttribute("aria-disabled"));
  }
});

// --- participants: added and removed without a request --------------------------------------------------------------

const sources = document.getElementById("origens");

if (sources) {
  const renumber = () => {
    const rows = [...sources.querySelectorAll("[data-origem]")];
    rows.forEach((row, at) => {
      row.querySelector("legend span").textContent = at + 1;
      for (const field of row.querySelectorAll("[id]")) field.id = field.id.replace(/\d+$/, at);
      for (const label of row.querySelectorAll("label[for]")) label.htmlFor = label.htmlFor.replace(/\d+$/, at);
      for (const field of row.querySelectorAll("[aria-describedby]"))
        field.setAttribute("aria-describedby", field.getAttribute("aria-describedby").replace(/\d+$/, at));
      const remove = row.querySelector("[value^='remover-']");
      if (remove) {
        remove.value = `remover-${at}`;
        remove.hidden = rows.length === 1;
      }
    });
  };
  sources.closest("form").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.value === "adicionar") {
      event.preventDefault();
      const last = sources.querySelector("[data-origem]:last-of-type");
      const row = last.cloneNode(true);
      for (const field of row.querySelectorAll("input, select")) {
        if (field.localName === "input") field.value = "";
        field.removeAttribute("aria-invalid");
        field.removeAttribute("aria-describedby");
      }
      for (const error of row.querySelectorAll(".erro")) error.remove();
      last.after(row);
      renumber();
      row.querySelector("select").focus();
    } else if (button.value.startsWith("remover-")) {
      event.preventDefault();
      button.closest("[data-origem]").remove();
      renumber();
      sources.querySelector("[data-origem]:last-of-type select").focus();
    }
  });
  renumber();
}
