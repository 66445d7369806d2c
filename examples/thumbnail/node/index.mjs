// Tells what a photograph is: reads the markers of a JPEG, with nothing but Node.js itself.
// The event is {"image": base64 of a JPEG}.
const FRAMES = { 0xc0: 'baseline', 0xc1: 'extended', 0xc2: 'progressive', 0xc3: 'lossless' };
const COLORS = { 1: 'gray', 3: 'YCbCr', 4: 'CMYK' };

/** The marker segments of a JPEG up to its pixels. */
function* segments(data) {
  if (data.length < 2 || data.readUInt16BE(0) !== 0xffd8) throw new TypeError('not a JPEG');
  for (let at = 2; at + 4 <= data.length; ) {
    if (data[at] !== 0xff) throw new TypeError(`not a JPEG: no marker at byte ${at}`);
    const marker = data[at + 1];
    if (marker === 0xff) {
      at++; // a fill byte
      continue;
    }
    const length = data.readUInt16BE(at + 2);
    yield { marker, payload: data.subarray(at + 4, at + 2 + length) };
    if (length < 2 || marker === 0xda) return;
    at += 2 + length;
  }
}

export const handler = async (event) => {
  const data = Buffer.from(event.image, 'base64');
  const comments = [];
  let density = null;
  for (const { marker, payload } of segments(data)) {
    if (marker === 0xfe) comments.push(payload.toString('utf8'));
    if (marker === 0xe0 && payload.length >= 12 && payload.toString('latin1', 0, 5) === 'JFIF\0') {
      density = [payload.readUInt16BE(8), payload.readUInt16BE(10)];
    }
    if (!(marker in FRAMES) || payload.length < 6) continue;
    const [width, height] = [payload.readUInt16BE(3), payload.readUInt16BE(1)];
    console.log(`${width} x ${height} photograph, ${data.length} bytes`);
    return {
      format: 'JPEG',
      width,
      height,
      bytes: data.length,
      color: COLORS[payload[5]] ?? String(payload[5]),
      bits: payload[0],
      process: FRAMES[marker],
      density,
      comments,
    };
  }
  throw new TypeError('not a JPEG: no frame');
};
