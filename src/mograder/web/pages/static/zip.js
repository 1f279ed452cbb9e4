// The names of the files in a zip, from the directory at its end, without hidden files, files that programs leave behind,
// and a folder that holds them all. Null if the directory cannot be read.
const namesInZip = async (file) => {
  const most = 4 * 1024 * 1024, end = new DataView(await file.slice(-65557).arrayBuffer()); // 22 bytes and a comment
  let at = end.byteLength - 22;
  while (at >= 0 && end.getUint32(at, true) !== 0x06054b50) at -= 1;
  if (at < 0) return null;
  const size = end.getUint32(at + 12, true), start = end.getUint32(at + 16, true);
  if (size > most || start + size > file.size) return null; // too long to list, or too large for this kind of directory
  const bytes = await file.slice(start, start + size).arrayBuffer(), view = new DataView(bytes), names = [];
  for (let next = 0; next + 46 <= size && view.getUint32(next, true) === 0x02014b50;) {
    const length = view.getUint16(next + 28, true);
    names.push(new TextDecoder().decode(bytes.slice(next + 46, next + 46 + length)).normalize("NFC").replaceAll("\\", "/"));
    next += 46 + length + view.getUint16(next + 30, true) + view.getUint16(next + 32, true);
  }
  const leftBehind = (part) => part.startsWith(".") || ["__MACOSX", "__pycache__", "__marimo__"].includes(part);
  const kept = names.filter((name) => !name.endsWith("/") && name !== "submission.json" && !name.split("/").some(leftBehind));
  const top = kept.length ? kept[0].slice(0, kept[0].indexOf("/") + 1) : "";
  return top && kept.every((name) => name.startsWith(top)) ? kept.map((name) => name.slice(top.length)) : kept;
};
