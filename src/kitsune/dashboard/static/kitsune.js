// What pages do beyond being read: live changes, keys, copying, the grid's tips, searching and following logs.
// Everything here is an addition: without it pages can be read, and orders given with plain forms.
"use strict";

const body = document.body;
const byId = (id) => document.getElementById(id);
const all = (query, within = document) => [...within.querySelectorAll(query)];

// ---- what only works with this file ----------------------------------------------------------

function reveal(within = document) {
  for (const element of all(".copy, .key-button, [data-log] label", within)) element.hidden = false;
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest(".copy");
  if (copy) {
    try {
      await navigator.clipboard.writeText(copy.dataset.copy);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(copy.parentElement.querySelector("code"));
      copy.textContent = "Ctrl-C";
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  } else if (event.target.closest("[data-keys]")) {
    byId("keys").showModal();
  } else if (!event.target.closest(".act")) {
    for (const open of all(".act[open]")) open.open = false;
  }
});

// The command says what the form says.
document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form.panel");
  const copy = form?.querySelector(".copy");
  if (!copy) return;
  copy.dataset.plain ??= copy.dataset.copy;
  const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);
  const words = all("[data-flag^='--']", form).flatMap((field) => {
    if (field.type === "checkbox") return field.checked ? [field.dataset.flag] : [];
    return field.value.trim() ? [field.dataset.flag, quoted(field.value.trim())] : [];
  });
  copy.dataset.copy = [copy.dataset.plain, ...words].join(" ");
  form.querySelector(".cli code").textContent = copy.dataset.copy;
});

// A search filters while somebody types, and the address says what is shown.
let typing = 0;
document.addEventListener("input", (event) => {
  const field = event.target.closest?.("[data-live]");
  if (!field) return;
  clearTimeout(typing);
  typing = setTimeout(() => {
    const url = new URL(location.href);
    if (field.value.trim()) url.searchParams.set("q", field.value.trim());
    else url.searchParams.delete("q");
    url.searchParams.delete("page");
    history.replaceState(null, "", url);
    refresh();
  }, 200);
});

document.addEventListener("submit", (event) => {
  // A slow answer must not make anybody press twice.
  const button = event.target.method === "post" && event.submitter;
  if (button) setTimeout(() => { button.disabled = true; });
});

// ---- clocks ----------------------------------------------------------------------------------

function clock(milliseconds) {
  const whole = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function tick() {
  for (const element of all("[data-since]")) {
    element.textContent = clock(Date.now() - Date.parse(element.dataset.since));
  }
  if (lostAt) tellLost();
}

// ---- live ------------------------------------------------------------------------------------

let lostAt = 0;
let cells = null;
let refreshing = 0;
let again = false;
let wantsGrid = false;

function say(state, text) {
  const live = byId("live");
  if (!live) return;
  live.hidden = false;
  live.dataset.state = state;
  if (live.textContent !== text) live.textContent = text;
}

function tellLost() {
  const seconds = Math.round((Date.now() - lostAt) / 1000);
  const seen = document.querySelector("#head time, .asof time, .facts time")?.textContent;
  const since = seen ? `; this is what was known at ${seen}` : "";
  byId("lost").hidden = seconds < 2;
  byId("lost").querySelector("[data-text]").textContent =
    `Live updates lost ${seconds} s ago, trying again${since}.`;
  say("lost", "not live");
}

function trouble(text) {
  byId("trouble").hidden = !text;
  byId("trouble").querySelector("[data-text]").textContent = text || "";
}

let focusedCell = null;
document.addEventListener("focusin", (event) => {
  focusedCell = event.target.closest?.("#grid .cells > a")?.getAttribute("href") ?? null;
});
document.addEventListener("pointerdown", () => { focusedCell = null; });

async function refresh(withGrid = false) {
  // One at a time, at most two a second; what comes meanwhile is one more at the end.
  wantsGrid ||= withGrid;
  if (refreshing) { again = true; return; }
  refreshing = 1;
  const url = new URL(location.href);
  url.searchParams.set("part", "live");
  if (wantsGrid) url.searchParams.set("grid", "1");
  wantsGrid = false;
  const before = document.querySelector(".head .pill")?.textContent;
  try {
    await htmx.ajax("GET", url.pathname + url.search, { source: body, target: body, swap: "none" });
  } catch { /* the stream tells when the dashboard is away */ }
  reveal();
  const live = document.querySelector("[data-trouble]");
  trouble(live?.dataset.trouble);
  if (live?.dataset.over !== undefined) delete body.dataset.every;
  if (url.searchParams.has("grid")) prepareGrid();
  if (focusedCell && document.activeElement === body) {  // it was replaced
    all("#grid .cells > a").find((cell) => cell.getAttribute("href") === focusedCell)?.focus({ preventScroll: true });
  }
  const after = document.querySelector(".head .pill")?.textContent;
  if (before && after && before !== after) byId("announce").textContent = after;
  followLogs();
  setTimeout(() => {
    refreshing = 0;
    if (again) { again = false; refresh(); }
  }, 500);
}

async function patch(changes) {
  if (!byId("grid")) return;
  const { byName } = await servers();
  for (const [name, code] of Object.entries(changes)) {
    const cell = byName.get(name);
    if (!cell?.isConnected) { cells = null; refresh(true); return; }
    if (cell.classList[0] !== code) cell.className = `${code} new`;
  }
  setTimeout(() => { for (const cell of all(".cells > .new")) cell.classList.remove("new"); }, 1500);
}

let stream = null;

function listen() {
  const url = body.dataset.stream;
  if (!url || !window.EventSource || document.hidden) return;
  stream?.close();
  stream = new EventSource(url);
  stream.onopen = () => {
    if (lostAt) refresh(true);
    lostAt = 0;
    byId("lost").hidden = true;
    say("live", "live");
  };
  stream.onerror = () => {
    if (!lostAt) lostAt = Date.now();
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
  const read = (event) => { try { return JSON.parse(event.data); } catch { return {}; } };
  stream.addEventListener("summary", () => refresh());
  stream.addEventListener("rollouts", () => refresh());
  stream.addEventListener("end", () => refresh());
  stream.addEventListener("cells", (event) => { const said = read(event); patch(said.cells ?? {}); });
  stream.addEventListener("trouble", (event) => { trouble(read(event).text); });
}

// A browser has six connections to a host: pages that nobody sees give theirs back.
document.addEventListener("visibilitychange", () => {
  if (!body.dataset.stream) return;
  if (document.hidden) { stream?.close(); return; }
  listen();
  refresh(true);
});
addEventListener("pagehide", () => stream?.close());
addEventListener("pageshow", (event) => { if (event.persisted) { listen(); refresh(true); } });

// ---- the grid --------------------------------------------------------------------------------

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true");

// A large grid is a picture: who its cells are is asked for when somebody wants to know.
function servers() {
  cells ??= (async () => {
    const list = all("#grid .cells > *");
    let names = list.map((cell) => cell.textContent);
    if (document.querySelector("#grid.small")) {
      const answer = await fetch(`${location.pathname}/servers.txt?order=grid`);
      names = answer.ok ? (await answer.text()).trimEnd().split("\n") : names;
    }
    return { list, names, byName: new Map(names.map((name, at) => [name, list[at]])) };
  })();
  return cells;
}

async function showTip(cell) {
  tip.dataset.of = "";
  if (!cell || cell.closest(".grid.large")) { tip.hidden = true; return; }
  const { list, names } = await servers();
  const mark = getComputedStyle(cell).getPropertyValue("--cell-mark");
  tip.textContent = `${names[list.indexOf(cell)]} · ${/\/\s*"([^"]*)"/.exec(mark)?.[1] ?? ""}`;
  tip.hidden = false;
  const box = cell.getBoundingClientRect();
  const left = Math.min(box.left + scrollX, scrollX + innerWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${box.bottom + scrollY + 6}px`;
}

async function openCell(cell, elsewhere) {
  const { list, names } = await servers();
  const url = `${location.pathname}?s=${encodeURIComponent(names[list.indexOf(cell)])}`;
  if (elsewhere) window.open(url, "_blank", "noopener");
  else location.assign(url);
}

function setUpGrid() {
  body.append(tip);
  const within = (event) => event.target.closest?.("#grid .cells > *");
  document.addEventListener("mouseover", (event) => {
    const cell = within(event);
    if (cell || !tip.hidden) showTip(cell);
  });
  document.addEventListener("focusin", (event) => { if (within(event)) showTip(within(event)); });
  document.addEventListener("click", (event) => {
    const cell = within(event);
    if (cell?.matches("i")) openCell(cell, event.ctrlKey || event.metaKey);
  });
  document.addEventListener("keydown", moveInGrid);
  prepareGrid();
}

function prepareGrid() {
  cells = null;
  // One stop for the tab key: arrows move within a grid.
  all("#grid .cells a").forEach((cell, at) => { cell.tabIndex = at ? -1 : 0; });
  const first = document.querySelector("#grid.small .cells");
  if (first) first.tabIndex = 0;
}

function currentCell() {
  return document.querySelector("#grid .cells > .at") ?? document.activeElement?.closest?.("#grid .cells > a");
}

function moveInGrid(event) {
  const inside = document.activeElement?.closest?.("#grid .cells");
  if (!inside || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" && currentCell()?.matches("i")) { openCell(currentCell()); return; }
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: "down", ArrowUp: "up", Home: "first", End: "last" };
  const step = steps[event.key];
  if (step === undefined) return;
  event.preventDefault();
  const columns = getComputedStyle(inside).gridTemplateColumns.split(" ").length;
  moveCell({ down: columns, up: -columns, first: -Infinity, last: Infinity }[step] ?? step);
}

function moveCell(step) {
  const list = all("#grid .cells > *");
  const from = currentCell();
  const at = from ? list.indexOf(from) + step : 0;
  const to = list[Math.max(0, Math.min(list.length - 1, at))];
  from?.classList.remove("at");
  if (from?.matches("a")) from.tabIndex = -1;
  if (to.matches("a")) {
    to.tabIndex = 0;
    to.focus();
  } else {
    to.classList.add("at");
    showTip(to).then(() => { byId("announce").textContent = tip.textContent; });
  }
  to.scrollIntoView({ block: "nearest" });
}

// ---- logs ------------------------------------------------------------------------------------

function setUpLogs() {
  document.addEventListener("input", (event) => {
    const field = event.target.closest?.("[data-log-search]");
    if (field) searchLog(field.closest("[data-log]"), field.value);
  });
  // Scrolling up ends following; being at the end begins it again.
  document.addEventListener("scroll", (event) => {
    const lines = event.target;
    if (!lines.classList?.contains("lines")) return;
    const follow = lines.closest("[data-log]").querySelector("[data-log-follow]");
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 24;
    if (follow && !atEnd && lines.dataset.to && lines.scrollTop < Number(lines.dataset.to)) follow.checked = false;
  }, true);
  document.addEventListener("click", (event) => {
    const line = event.target.closest?.(".lines li[id]");
    if (line && getSelection().isCollapsed) history.replaceState(null, "", `#${line.id}`);
  });
  followLogs();
  if (location.hash) byId(location.hash.slice(1))?.closest("details")?.setAttribute("open", "");
}

function searchLog(log, text) {
  const lines = log.querySelector(".lines");
  const word = text.trim().toLowerCase();
  let first = null;
  for (const line of all("li", lines)) {
    const hit = word !== "" && line.textContent.toLowerCase().includes(word);
    line.classList.toggle("hit", hit);
    if (hit && !first) first = line;
  }
  if (first) lines.scrollTop = first.offsetTop - lines.offsetTop - 40;
}

function followLogs() {
  for (const follow of all("[data-log-follow]:checked")) {
    const lines = follow.closest("[data-log]").querySelector(".lines");
    lines.scrollTop = lines.scrollHeight;
    lines.dataset.to = lines.scrollTop;
  }
}

// ---- keys ------------------------------------------------------------------------------------

let prefix = 0;

function move(step) {
  const inGrid = document.activeElement?.closest?.("#grid .cells");
  const list = all("main .go");
  if (inGrid || !list.length) {
    if (byId("grid")) moveCell(step);
    return;
  }
  const current = list.indexOf(document.activeElement);
  const at = current < 0 ? (step > 0 ? 0 : list.length - 1) : current + step;
  const next = list[Math.max(0, Math.min(list.length - 1, at))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function failedOnly() {
  const url = new URL(location.href);
  if (byId("grid")) {
    const on = byId("grid").classList.toggle("only-bad");
    byId("announce").textContent = on ? "failed only" : "all servers";
    return;
  }
  if (url.searchParams.get("state") === "failed") url.searchParams.delete("state");
  else url.searchParams.set("state", "failed");
  url.searchParams.delete("page");
  location.assign(url);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    for (const open of all(".act[open]")) { open.open = false; open.querySelector("summary").focus(); }
    showTip(null);
    if (document.activeElement?.matches?.("input[type=search]")) document.activeElement.blur();
    return;
  }
  if (event.target.closest?.("input, textarea, select, dialog[open]")) return;  // focus leaves a closed dialog late
  const goes = { r: "/rollouts", s: "/fleet", n: "/rollouts/new" };
  if (Date.now() - prefix < 2000 && goes[event.key]) { location.assign(goes[event.key]); return; }
  prefix = 0;
  const does = {
    "?": () => byId("keys").showModal(),
    "/": () => document.querySelector("[data-search], [data-log-search]")?.focus(),
    j: () => move(1),
    k: () => move(-1),
    f: failedOnly,
    g: () => { prefix = Date.now(); },
  }[event.key];
  if (does) { event.preventDefault(); does(); }
}

document.addEventListener("keydown", onKey);
reveal();
setUpGrid();
setUpLogs();
listen();
setInterval(tick, 1000);
// What a step prints is no change of its rollout: pages of one server ask.
if (body.dataset.every) {
  setInterval(() => { if (!document.hidden && body.dataset.every) refresh(); }, Number(body.dataset.every));
}
