/**
 * Search by a photo from a file, a drop or the clipboard.
 *
 * The page uploads a photo once for each model among the shops. The server returns a token, which is the encoded photo.
 * The tokens, joined by dots, are part of the page's state and address, so a link to the page searches for the same
 * photo in any of the shops. The link cannot show the photo itself.
 */
import { fetchJson } from "./client.js";
import { byId, sentence } from "./dom.js";

const MAX_SIDE = 1024; // pixels of the longer side: models use fewer, and a phone's photo has many more

/**
 * @param shops all shops; shop: the shop that the page shows
 * @param {(changes: object) => void} change puts the tokens into the page's state
 */
export function watchPhotos(shops, shop, change) {
  const previews = new Map();
  const shopByModel = new Map([...shops, shop].map((each) => [each.model, each]));
  let upload = new AbortController();

  async function take(file) {
    upload.abort();
    upload = new AbortController();
    const { signal } = upload;
    showPhotoError("");
    byId("pick").classList.add("busy");
    try {
      const photo = await shrink(file);
      const uploads = [...shopByModel.values()].map((target) => send(photo, target, signal));
      const tokens = (await Promise.all(uploads)).join(".");
      previews.set(tokens, URL.createObjectURL(photo));
      change({ photo: tokens, like: undefined });
    } catch (failure) {
      if (!signal.aborted) showPhotoError(failure.message);
    } finally {
      if (!signal.aborted) byId("pick").classList.remove("busy");
    }
  }

  watchFiles(take);
  return { preview: (tokens) => previews.get(tokens) };
}

async function send(photo, shop, signal) {
  const body = new FormData();
  body.set("photo", photo, "photo");
  const parameters = new URLSearchParams({ shop: shop.name, per_page: 1 });
  return (await fetchJson(`/api/search?${parameters}`, { method: "POST", body, signal })).photo;
}

/**
 * A JPEG whose longer side has at most MAX_SIDE pixels. Returns the file itself if the browser cannot read it: the
 * server returns the error message.
 */
async function shrink(file) {
  const image = await createImageBitmap(file).catch(() => null);
  if (!image) return file;
  const scale = Math.min(1, MAX_SIDE / Math.max(image.width, image.height));
  if (scale === 1 && file.type === "image/jpeg") return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * image.width));
  canvas.height = Math.max(1, Math.round(scale * image.height));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // background of transparent images
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", 0.9));
}

/** Show what is wrong with a photo below the search box. "" hides the message. */
export function showPhotoError(message) {
  byId("photo-error").textContent = sentence(message);
  byId("photo-error").hidden = !message;
}

function watchFiles(take) {
  const [input, pickButton, dropZone] = [byId("file"), byId("pick"), byId("drop")];
  pickButton.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files[0]) take(input.files[0]);
    input.value = ""; // so that the same photo can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return; // the browser pastes text into the focused field
    event.preventDefault();
    take(file);
  });
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    dropZone.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) dropZone.hidden = true; // left the window, not only an element
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    dropZone.hidden = true;
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}
