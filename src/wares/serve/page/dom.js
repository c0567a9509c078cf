/** Helpers for DOM elements and texts. */

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/**
 * Create an element with properties, such as {className, onclick}, attributes (names with a dash) and children.
 * @param {string} tag
 * @param {Object<string, unknown>} properties
 * @param {...(Node|string|null)} children
 */
export function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) created.setAttribute(name, value);
    else created[name] = value;
  }
  created.append(...children.filter((child) => child !== null));
  return created;
}

/**
 * Replace the children of a node if they differ, and keep the keyboard focus. Equal children stay, because a button
 * that is replaced during a click loses the click.
 */
export function fill(node, ...children) {
  const filled = node.cloneNode();
  filled.append(...children);
  if (filled.childNodes.length === node.childNodes.length) {
    const equal = [...filled.childNodes].every((child, index) => child.isEqualNode(node.childNodes[index]));
    if (equal) return;
  }
  const focused = [...node.querySelectorAll("button")].indexOf(document.activeElement);
  node.replaceChildren(...filled.childNodes);
  node.hidden = !children.length;
  if (focused < 0) return;
  const buttons = node.querySelectorAll("button");
  (buttons[Math.min(focused, buttons.length - 1)] ?? byId("box"))?.focus();
}

/** 0.536 as "54 %". */
export const percent = (fraction) => `${Math.round(100 * fraction)} %`;

/** A message of the server with a capital letter. */
export const sentence = (message) => message.charAt(0).toUpperCase() + message.slice(1);

/** "ships_from" as "ships from". */
export const spaced = (name) => name.replaceAll("_", " ");
