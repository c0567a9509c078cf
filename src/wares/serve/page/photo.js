/**
 * Search by a photo: from a file, a drop, or the clipboard.
 *
 * A photo is sent once. The server answers with a token, the encoded photo itself; the token is what the page's state
 * and its address have, so that a link to the page looks for the same photo, although it cannot show it.
 */
import { fetchJson, Failure } from "./client.js";
import { byId, sentence } from "./dom.js";

const LONGER_SIDE = 1024; // pixels. Models look at fewer, and a phone's photo has many more

/**
 * @param shop the shop to ask
 * @param {(changed: object) => void} change takes the token into the page's state
 */
export function watchPhotos(shop, change) {
  /** @type {Map<string, Blob>} */
  const blobs = new Map();
  const previews = new Map();
  const others = new Map(); // tokens for shops of other models
  let sending = new AbortController();

  async function take(file) {
    sending.abort();
    sending = new AbortController();
    const { signal } = sending;
    trouble("");
    byId("pick").classList.add("busy");
    try {
      const photo = await smaller(file);
      const token = await send(photo, shop, signal);
      blobs.set(token, photo);
      previews.set(token, URL.createObjectURL(photo));
      change({ photo: token, like: undefined });
    } catch (failure) {
      if (!signal.aborted) trouble(failure.message);
    } finally {
      if (!signal.aborted) byId("pick").classList.remove("busy");
    }
  }

  /** The token of the same photo for a shop, which may have another model. */
  async function tokenFor(other, token, signal) {
    if (other.model === shop.model) return token;
    const key = `${other.model} ${token}`;
    if (others.has(key)) return others.get(key);
    if (!blobs.has(token)) {
      throw new Failure("The photo of this link was read by another model. Choose it again to compare.", 422, "photo");
    }
    others.set(key, await send(blobs.get(token), other, signal));
    return others.get(key);
  }

  watchFiles(take);
  return { preview: (token) => previews.get(token), tokenFor };
}

async function send(photo, shop, signal) {
  const body = new FormData();
  body.set("photo", photo, "photo");
  const query = new URLSearchParams({ shop: shop.name, per_page: 1 });
  return (await fetchJson(`/api/search?${query}`, { method: "POST", body, signal })).photo;
}

/**
 * A JPEG whose longer side has at most LONGER_SIDE pixels. What the browser cannot read is sent as it is: the server says
 * what is wrong with it.
 */
async function smaller(file) {
  const image = await createImageBitmap(file).catch(() => null);
  if (!image) return file;
  const scale = Math.min(1, LONGER_SIDE / Math.max(image.width, image.height));
  if (scale === 1 && file.type === "image/jpeg") return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * image.width));
  canvas.height = Math.max(1, Math.round(scale * image.height));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", 0.9));
}

/** What is wrong with the photo, below the search box; nothing takes the message away. */
export function trouble(message) {
  byId("photo-trouble").textContent = sentence(message);
  byId("photo-trouble").hidden = !message;
}

function watchFiles(take) {
  const [file, pick, drop] = [byId("file"), byId("pick"), byId("drop")];
  pick.addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files[0]) take(file.files[0]);
    file.value = ""; // so that the same photo can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const pasted = event.clipboardData?.files[0];
    if (!pasted) return; // words go where they belong
    event.preventDefault();
    take(pasted);
  });
  const withFile = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!withFile(event)) return;
    event.preventDefault();
    drop.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.hidden = true; // left the window, not just one of its parts
  });
  document.addEventListener("drop", (event) => {
    if (!withFile(event)) return;
    event.preventDefault();
    drop.hidden = true;
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}
