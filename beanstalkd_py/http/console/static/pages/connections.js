// The clients of the server.

import { get } from "../api.js";
import { tubeLink } from "../columns.js";
import { h, setText } from "../dom.js";
import { age, bytes, count } from "../format.js";
import { Table, showLink, showNumber } from "../table.js";

const EVERY_S = 2;

const COLUMNS = [
  {
    name: "id",
    title: "Client",
    left: true,
    sort: (c) => c.id,
    show: (cell, c) => setText(cell, c.id),
  },
  {
    name: "address",
    title: "Address",
    left: true,
    kind: "mono",
    sort: (c) => c.address,
    show: (cell, c) => setText(cell, c.address || (c.user !== "" ? `user ${c.user}` : "local")),
  },
  {
    name: "age",
    title: "Connected",
    wide: true,
    sort: (c) => c.age,
    show: (cell, c) => setText(cell, age(c.age)),
  },
  {
    name: "tube",
    title: "Uses",
    left: true,
    kind: "name",
    wide: true,
    sort: (c) => c.tube,
    show: (cell, c) => showLink(cell, tubeLink(c.tube), c.tube),
  },
  {
    name: "watching",
    title: "Watches",
    wide: true,
    sort: (c) => c.watching,
    show: (cell, c) => showNumber(cell, c.watching),
  },
  {
    name: "reserved",
    title: "Reserved",
    sort: (c) => c.reserved,
    show: (cell, c) => showNumber(cell, c.reserved),
  },
  {
    name: "waiting",
    title: "Waits",
    sort: (c) => (c.waiting ? c["waiting-time"] : -1),
    show: showWaiting,
  },
  {
    name: "pending",
    title: "Unread",
    wide: true,
    sort: (c) => c["pending-bytes"],
    show: (cell, c) => showNumber(cell, c["pending-bytes"], bytes),
  },
];

function showWaiting(cell, connection) {
  setText(cell, connection.waiting ? age(connection["waiting-time"]) : "\u2013");
  cell.classList.toggle("zero", !connection.waiting);
}

export function connections(context) {
  const search = h("input", {
    type: "search",
    placeholder: "Filter by address or tube ( / )",
    "aria-label": "Filter connections",
    oninput: () => draw(),
    spellcheck: "false",
  });
  const counted = h("span", { class: "soft" });
  const table = new Table(COLUMNS, (connection) => connection.id, {
    order: { column: "id", down: false },
    label: "Connections",
    empty: "No connection matches.",
  });
  const failed = h("p", { class: "error", hidden: true });
  let all = [];
  let askedAt = 0;

  function draw() {
    const text = search.value.toLowerCase();
    const fits = (c) => `${c.address} ${c.tube}`.toLowerCase().includes(text);
    const found = all.filter(fits);
    setText(
      counted,
      text ? `${found.length} of ${count(all.length, "client")}` : count(all.length, "client"),
    );
    table.show(found);
  }

  async function update({ at }) {
    if (at < askedAt + EVERY_S) return;
    askedAt = at;
    try {
      all = (await get("connections")).connections;
      failed.hidden = true;
      draw();
    } catch (error) {
      setText(failed, error.message);
      failed.hidden = false;
    }
  }

  const head = h("div", { class: "title" }, h("h1", {}, "Connections"), counted);
  const bar = h("div", { class: "bar" }, search);
  return { title: "Connections", element: h("div", {}, head, bar, failed, table.element), update };
}
