// The panel, live: pages work without this file. No polling and no reload: the bank tells what changed, and only
// then are the parts marked data-live asked for again.

const text = document.body.dataset;
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

// --- what a screen reader says -------------------------------------------------------------------------------------

// One place that stays: what is put into a part that is replaced would not be read. Lists that move are not read out.
function announce(words) {
  document.getElementById("anuncio").textContent = words.replace(/\s+/g, " ").trim();
}

// --- the parts that follow the bank -----------------------------------------------------------------------------

let wanted = false;
let busy = false;

async function refresh() {
  wanted = true;
  if (busy) return;
  busy = true;
  while (wanted) {
    wanted = false;
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
      // The stream's own state tells that the bank is away; it asks again when it is back.
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
  // What had the focus may be gone: then its part keeps it, so that the next Tab goes on from here.
  if (focus && !focus.isConnected) {
    part.tabIndex = -1;
    part.focus({ preventScroll: true });
  }
  if (reduced || known.size === 0) return;
  for (const row of part.querySelectorAll("[data-tx]")) {
    if (!known.has(row.dataset.tx)) row.classList.add("nova");
  }
}

// Nothing is changed between the press of a button and what it does: a click whose button was replaced meanwhile
// would be lost.
let pressed = false;
const released = [];

function release() {
  // The click comes right behind the release.
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
// The window's own blur; that of a field comes with each press of another one.
addEventListener("blur", (event) => event.target === window && release());

// Makes `old` look like `fresh` and keeps every element that is in both: with its focus, what a person selected or
// typed in it, and whether it is open. Runs once over both.
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

// What stays the same thing from one look to the next.
function markOf(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return `#${node.nodeType}`;
  return `${node.localName} ${node.id || node.dataset.key || node.dataset.tx || ""}`;
}

// What this page sets by itself: a details element that was opened, a form that is on its way, a button shown.
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

// --- the steps of a transaction, lit as they pass ------------------------------------------------------------------

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

// A page of one transaction looks again when that one went on; where steps were too many to be told one by one, as
// long as it is open.
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
    // A refused stream is closed for good by the browser; a broken one it dials again by itself.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
}

if (document.querySelector("[data-live]") || light) {
  light?.removeAttribute("hidden");
  listen();
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
}

// --- copying an account's number ------------------------------------------------------------------------------------

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
    // Without a secure context the clipboard is reached by the selection alone.
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

// --- one press sends a form once --------------------------------------------------------------------------------------

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.method === "post") {
    form.dataset.sent = "1";
    // The pressed button's own name must still be sent, so it is greyed only after the form has been read.
    setTimeout(() => form.querySelectorAll("button").forEach((button) => button.setAttribute("aria-disabled", "true")), 0);
  }
});
addEventListener("pageshow", () => {
  for (const form of document.forms) {
    delete form.dataset.sent;
    form.querySelectorAll("button").forEach((button) => button.removeAttribute("aria-disabled"));
  }
});

// --- participants: added and removed without asking the bank --------------------------------------------------------

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
