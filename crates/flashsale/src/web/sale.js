// The page's behaviour. The service decides; the page shows, and repeats a request only under the same key.
"use strict";

const PRODUCT = 1;
const at = (id) => document.getElementById(id);
let clockOffset = 0; // the service's clock minus ours, in ms
let saleStarts = 0;
let left = null;
let busy = false;
let order = JSON.parse(sessionStorage.getItem("order") || "null");

class Refusal extends Error {
  constructor(status, body) {
    super(body.message || `The service answered ${status}.`);
    Object.assign(this, { status, code: body.code, fields: body.fields || [] });
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, { signal: AbortSignal.timeout(5000), ...options });
  } catch {
    online(false);
    throw new Error("The service does not answer. Nothing is lost: it is safe to try again.");
  }
  online(true);
  const body = await answer.json().catch(() => ({}));
  if (body.now_ms) clockOffset = body.now_ms - Date.now();
  if (!answer.ok) throw new Refusal(answer.status, body);
  return body;
}

const post = (path, body, headers = {}) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });

function online(yes) {
  at("link").className = `link ${yes ? "on" : "off"}`;
  at("link").textContent = yes ? "live" : "no connection";
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// A request that found no room, or no answer, is sent again after a growing, random pause. The key makes it safe.
async function patiently(send) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      const passing = !(error instanceof Refusal) || error.status === 503 || error.status === 429;
      if (!passing || attempt === 5) throw error;
      await pause(Math.random() * 200 * 2 ** attempt);
    }
  }
}

async function user() {
  let id = Number(localStorage.getItem("user"));
  if (!id) {
    id = (await patiently(() => post("/users", { name: "Guest" }))).id;
    localStorage.setItem("user", id);
  }
  return id;
}

const REASONS = {
  sold_out: "Sold out. Units of unpaid orders come back: keep an eye on the stock.",
  user_limit: "You have one already, and that is all one person may buy.",
  overloaded: "Too many people order at this moment. Please try again.",
};

function problem(error) {
  at("problem").hidden = !error;
  if (!error) return;
  const fields = (error.fields || []).map((field) => `${field.field} ${field.message}`).join(", ");
  at("problem").textContent = (REASONS[error.code] || error.message) + (fields ? ` (${fields})` : "");
}

async function act(work) {
  busy = true;
  problem(null);
  show();
  try {
    await work();
  } catch (error) {
    if (error.code === "unknown_user") localStorage.removeItem("user");
    problem(error);
  } finally {
    busy = false;
    show();
  }
}

function keep(changed) {
  order = changed;
  if (order) sessionStorage.setItem("order", JSON.stringify(order));
  else sessionStorage.removeItem("order");
}

async function buy() {
  const key = sessionStorage.getItem("key") || Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-");
  sessionStorage.setItem("key", key);
  const body = { user_id: await user(), product_id: PRODUCT, quantity: 1 };
  try {
    keep(await patiently(() => post("/orders", body, { "idempotency-key": key })));
  } finally {
    // After a refusal the next click is a new order; without an answer it must stay the same one.
    if (order || at("link").classList.contains("on")) sessionStorage.removeItem("key");
  }
}

const move = (verb) => async () => keep(await patiently(() => post(`/orders/${order.order_id}/${verb}`, {})));

const TEXTS = {
  pending: () => "Taken in and safe on disk. Waiting for the stock.",
  confirmed: () => `A unit is reserved for you. Pay within ${seconds(order.pay_by_ms)} s.`,
  paid: () => "Paid. The lantern is yours.",
  rejected: () => "Sorry: the last unit went to somebody before you.",
  cancelled: () => "Cancelled. The unit is back on sale.",
  expired: () => "Not paid in time. The unit is back on sale.",
};

// Hours may be more than a day's.
const clock = (s) => [s / 3600, (s / 60) % 60, s % 60].map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");

const seconds = (until) => Math.max(0, Math.ceil((until - Date.now() - clockOffset) / 1000));

function show() {
  const wait = saleStarts - Date.now() - clockOffset;
  at("countdown").hidden = wait <= 0;
  if (wait > 0) at("clock").textContent = clock(Math.ceil(wait / 1000));
  const open = order && !["rejected", "cancelled", "expired"].includes(order.state);
  at("buy").hidden = Boolean(order);
  at("buy").disabled = busy || wait > 0 || left === null || left === 0;
  at("buy").textContent = busy ? "One moment…" : wait > 0 ? "Not yet" : left === 0 ? "Sold out" : "Buy one";
  at("order").hidden = !order;
  if (!order) return;
  at("order").classList.toggle("over", !open);
  at("order-id").textContent = `no. ${order.order_id}`;
  at("order-text").textContent = TEXTS[order.state]();
  const states = ["pending", "confirmed", "paid"];
  for (const step of at("steps").children) {
    const [here, now] = [states.indexOf(step.dataset.step), states.indexOf(order.state)];
    step.className = !open || here > now ? "" : here < now || order.state === "paid" ? "done" : "now";
  }
  at("pay").hidden = order.state !== "confirmed";
  at("cancel").hidden = !["pending", "confirmed"].includes(order.state);
  at("again").hidden = open;
  for (const name of ["pay", "cancel"]) at(name).disabled = busy;
}

async function follow() {
  try {
    const stock = await ask(`/products/${PRODUCT}/stock`);
    left = stock.left;
    at("left").textContent = stock.left.toLocaleString();
    at("initial").textContent = stock.initial.toLocaleString();
    at("fill").style.width = `${(100 * stock.left) / stock.initial}%`;
    if (order && ["pending", "confirmed"].includes(order.state) && !busy) keep(await ask(`/orders/${order.order_id}`));
  } catch (error) {
    if (error.code === "unknown_order") keep(null);
    else if (error instanceof Refusal) problem(error);
  }
  show();
  setTimeout(follow, order && order.state === "pending" ? 200 : 1000);
}

async function begin() {
  try {
    const product = await ask(`/products/${PRODUCT}`);
    at("name").textContent = product.name;
    at("price").textContent = (product.price_cents / 100).toLocaleString("en", { style: "currency", currency: "EUR" });
    saleStarts = product.sale_starts_ms;
  } catch (error) {
    problem(error);
    setTimeout(begin, 1000);
    return;
  }
  problem(null);
  follow();
}

at("buy").addEventListener("click", () => act(buy));
at("pay").addEventListener("click", () => act(move("pay")));
at("cancel").addEventListener("click", () => act(move("cancel")));
at("again").addEventListener("click", () => { keep(null); problem(null); show(); });
setInterval(show, 250);
begin();
