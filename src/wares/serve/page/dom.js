/** Small helpers for plain elements. */

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/**
 * An element with properties, such as {className, onclick}, attributes where a name has a dash, and children.
 * @param {string} tag
 * @param {Object<string, unknown>} properties
 * @param {...(Node|string|null)} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/**
 * Replace the children of a node where they differ (a click is lost on a button that is replaced under it), without
 * losing the place of somebody who works with the keyboard.
 */
export function fill(node, ...children) {
  const made = node.cloneNode();
  made.append(...children);
  if (made.childNodes.length === node.childNodes.length) {
    const same = [...made.childNodes].every((child, at) => child.isEqualNode(node.childNodes[at]));
    if (same) return;
  }
  const place = [...node.querySelectorAll("button")].indexOf(document.activeElement);
  node.replaceChildren(...made.childNodes);
  node.hidden = !children.length;
  if (place < 0) return;
  const buttons = node.querySelectorAll("button");
  (buttons[Math.min(place, buttons.length - 1)] ?? byId("box"))?.focus();
}

/** 0.536 as "54 %". */
export const percent = (part) => `${Math.round(100 * part)} %`;

/** With a capital letter, as people are told what programs say. */
export const sentence = (message) => message.charAt(0).toUpperCase() + message.slice(1);
