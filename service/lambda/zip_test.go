package lambda

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
)

// part is one entry of an archive made by a test.
type part struct {
	name, body string
	mode       fs.FileMode
}

// archive makes a zip. A part without a mode is a file of mode 0644.
func archive(t testing.TB, parts ...part) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, p := range parts {
		h := &zip.FileHeader{Name: p.name, Method: zip.Deflate}
		if p.mode == 0 {
			p.mode = 0o644
		}
		h.SetMode(p.mode)
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, p.body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack unpacks an archive into a new directory.
func unpack(t testing.TB, data []byte) (dir string, size int64, err error) {
	t.Helper()
	dir = t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	entries, err := readZip(data)
	if err != nil {
		return dir, 0, err
	}
	size, err = unpackZip(context.Background(), entries, root)
	return dir, size, err
}

const link = fs.ModeSymlink | 0o777

func TestUnpack(t *testing.T) {
	dir, size, err := unpack(t, archive(t,
		part{name: "lib/"},
		part{name: "lib/a.py", body: "print(1)"},
		part{name: "./bootstrap", body: "#!/bin/sh\n", mode: 0o4755 | fs.ModeSetuid},
		part{name: "secret", body: "x", mode: 0o600},
		part{name: "deep/er/x", body: "y", mode: 0o775},
		part{name: "node_modules/.bin/tool", body: "../tool/cli.js", mode: link},
		part{name: "here", body: "lib", mode: link},
	))
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(len("print(1)#!/bin/sh\nxy../tool/cli.jslib")); size != want {
		t.Errorf("size %d, want %d", size, want)
	}
	for name, want := range map[string]string{
		"lib": "drwxr-xr-x", "lib/a.py": "-rw-r--r--", "bootstrap": "-rwxr-xr-x", "secret": "-rw-r--r--", "deep": "drwxr-xr-x",
		"deep/er/x": "-rwxr-xr-x", "node_modules/.bin/tool": "Lrwxrwxrwx", "here": "Lrwxrwxrwx",
	} {
		fi, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if got := fi.Mode().String(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "here/a.py")); string(b) != "print(1)" {
		t.Errorf("through the link: %q %v", b, err)
	}
}

// TestUnpackBackslashes: tools of Windows put them where directories end, and Linux, as on AWS, has them in the names of files. They are
// no way anywhere, and what they are in is another name than the one with slashes.
func TestUnpackBackslashes(t *testing.T) {
	names := []string{`lib\a.py`, "lib/a.py", `..\..\x`, `\etc\passwd`, `C:\x`, `\`, `a\..\b/c`}
	var parts []part
	for _, name := range names {
		parts = append(parts, part{name: name, body: "of " + name})
	}
	dir, _, err := unpack(t, archive(t, append(parts, part{name: "here", body: `..\..\x`, mode: link})...))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if b, err := os.ReadFile(dir + "/" + name); string(b) != "of "+name {
			t.Errorf("%s holds %q: %v", name, b, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "here")); string(b) != `of ..\..\x` {
		t.Errorf("through the link: %q %v", b, err)
	}
	all, err := os.ReadDir(dir)
	if err != nil || len(all) != 8 {
		t.Errorf("the directory holds %v, %v", all, err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	const no = "InvalidParameterValueException: Could not unzip uploaded file. Please check your file, then try to upload again."
	bomb := bomb(t, maxUnzipped+1)
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"not a zip", []byte("this is not a zipfile, just a random string"), no},
		{"nothing", nil, no},
		{"cut off", archive(t, part{name: "a", body: "b"})[:40], no},
		{"an empty archive", archive(t), "InvalidParameterValueException: Uploaded file must be a non-empty zip"},
		{"only the root", archive(t, part{name: "./"}), "InvalidParameterValueException: Uploaded file must be a non-empty zip"},
		{"upwards", archive(t, part{name: "../x"}), no + ` (bad entry name "../x")`},
		{"upwards inside", archive(t, part{name: "a/../../x"}), no + ` (bad entry name "a/../../x")`},
		{"an absolute name", archive(t, part{name: "/etc/passwd"}), no + ` (bad entry name "/etc/passwd")`},
		{"upwards after a backslash", archive(t, part{name: `a\b/../../x`}), no + ` (bad entry name "a\\b/../../x")`},
		{"a link out beside backslashes", archive(t, part{name: `a\b\c`, body: "../x", mode: link}), no + ` (link out of the archive: "a\\b\\c")`},
		{"a NUL", archive(t, part{name: "a\x00b"}), no + ` (bad entry name "a\x00b")`},
		{"a long component", archive(t, part{name: strings.Repeat("a", 256)}), no + ` (bad entry name "` + strings.Repeat("a", 80) + `\u2026")`},
		{"a long name", archive(t, part{name: strings.Repeat("a/", 600)}), no + " (entry name longer than 1024 bytes)"},
		{"a deep name", archive(t, part{name: strings.Repeat("a/", 100) + "b"}), no + " (entry name with more than 64 directories)"},
		{"the same name twice", archive(t, part{name: "a"}, part{name: "a"}), no + ` (duplicate entry "a")`},
		{"the same name, spelled twice", archive(t, part{name: "a/b"}, part{name: "./a//b"}), no + ` (duplicate entry "a/b")`},
		{"a file and a directory", archive(t, part{name: "a"}, part{name: "a/"}), no + ` (duplicate entry "a")`},
		{"below a file", archive(t, part{name: "a"}, part{name: "a/b"}), no + ` (entry below a file or link: "a/b")`},
		{"below a link", archive(t, part{name: "a", body: "b", mode: link}, part{name: "a/c"}), no + ` (entry below a file or link: "a/c")`},
		{"a link out", archive(t, part{name: "a", body: "../b", mode: link}), no + ` (link out of the archive: "a")`},
		{"an absolute link", archive(t, part{name: "a", body: "/etc/passwd", mode: link}), no + ` (link out of the archive: "a")`},
		{
			"a link out through a link", archive(t, part{name: "x/y/z", body: "../..", mode: link}, part{name: "p", body: "x/y/z/../..", mode: link}),
			no + ` (link out of the archive: "p")`,
		},
		{"an empty link", archive(t, part{name: "a", mode: link}), no + ` (link out of the archive: "a")`},
		{"a device", archive(t, part{name: "a", mode: fs.ModeDevice | 0o666}), no + ` (not a file, directory or link: "a")`},
		{"a named pipe", archive(t, part{name: "a", mode: fs.ModeNamedPipe | 0o666}), no + ` (not a file, directory or link: "a")`},
		{"encrypted", encrypted(t), no + ` (encrypted entry "a")`},
		{"a wrong check sum", corrupt(t), no},
		{"a bomb", bomb, "InvalidParameterValueException: Unzipped size must be smaller than 262144000 bytes"},
		{"a bomb that lies about its size", lie(t, bomb), no},
		{"too many entries", crowd(t, maxZipEntries+1), no + " (more than 100000 entries)"},
		{"too large", make([]byte, maxZipped+1), "RequestEntityTooLargeException: Zipped size must be smaller than 52428800 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := unpack(t, tt.data)
			if got := errText(err); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A bomb is refused while it is unpacked, not after: what is on the disk by then is bounded, and so is the memory.
func TestBombIsRefusedWhileStreaming(t *testing.T) {
	data := manyBombs(t, 20, 20<<20) // 400 MB, no entry too large by itself
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	dir, _, err := unpack(t, data)
	runtime.ReadMemStats(&after)
	if got := errText(err); got != "InvalidParameterValueException: Unzipped size must be smaller than 262144000 bytes" {
		t.Fatal(got)
	}
	var written int64
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if fi, err := d.Info(); err == nil && fi.Mode().IsRegular() {
			written += fi.Size()
		}
		return err
	})
	if written > maxUnzipped+1 {
		t.Errorf("%d bytes on the disk", written)
	}
	if alloc := after.TotalAlloc - before.TotalAlloc; alloc > 64<<20 {
		t.Errorf("allocated %d bytes", alloc)
	}
}

// A table of contents that is larger than it says must not cost memory either.
func TestCrowdCostsNoMemory(t *testing.T) {
	data := crowd(t, 500_000)
	binary.LittleEndian.PutUint16(data[len(data)-22+8:], 1)
	binary.LittleEndian.PutUint16(data[len(data)-22+10:], 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readZip(data)
	runtime.ReadMemStats(&after)
	if err == nil || after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("err %v, allocated %d", err, after.TotalAlloc-before.TotalAlloc)
	}
}

func TestUnpackStopsWithItsContext(t *testing.T) {
	entries, err := readZip(archive(t, part{name: "a", body: "b"}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := unpackZip(ctx, entries, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// bomb is a small archive of one file of n zeros.
func bomb(t testing.TB, n int64) []byte { return manyBombs(t, 1, n) }

func manyBombs(t testing.TB, files int, n int64) []byte {
	var names []string
	for i := range files {
		names = append(names, strings.Repeat("z", i+1))
	}
	return zeros(t, n, names...)
}

// zeros is an archive of files of n zeros each. A deflated piece is made once and repeated, which takes no time even with the
// race detector: a piece refers to nothing before it.
func zeros(t testing.TB, n int64, names ...string) []byte {
	const piece = 1 << 20
	block := make([]byte, piece)
	whole, rest := deflate(t, block, false), deflate(t, block[:n%piece], true)
	packed := append(bytes.Repeat(whole, int(n/piece)), rest...)
	sum := crc32.NewIEEE()
	for range n / piece {
		sum.Write(block)
	}
	sum.Write(block[:n%piece])
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		f, err := w.CreateRaw(&zip.FileHeader{
			Name: name, Method: zip.Deflate, CRC32: sum.Sum32(), UncompressedSize64: uint64(n), CompressedSize64: uint64(len(packed)),
		})
		if err == nil {
			_, err = f.Write(packed)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// deflate compresses data by itself, to the end of a stream or to where another piece may follow.
func deflate(t testing.TB, data []byte, last bool) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if end := w.Flush; err == nil {
		if last {
			end = w.Close
		}
		err = end()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// lie makes the table of contents say that the archive's one file is small.
func lie(t testing.TB, data []byte) []byte {
	at := bytes.LastIndex(data, []byte("PK\x01\x02"))
	if at < 0 {
		t.Fatal("no table of contents")
	}
	data = bytes.Clone(data)
	binary.LittleEndian.PutUint32(data[at+24:], 10)
	return data
}

func encrypted(t testing.TB) []byte {
	data := archive(t, part{name: "a", body: "b"})
	at := bytes.LastIndex(data, []byte("PK\x01\x02"))
	data[at+8] |= 1
	return data
}

func corrupt(t testing.TB) []byte {
	data := archive(t, part{name: "a", body: "some text to compress"})
	at := bytes.LastIndex(data, []byte("PK\x01\x02"))
	data[at+16] ^= 0xff
	return data
}

// crowd is an archive of n empty files.
func crowd(t testing.TB, n int) []byte {
	var b bytes.Buffer
	le := binary.LittleEndian
	h := make([]byte, 47)
	copy(h, "PK\x01\x02")
	le.PutUint16(h[28:], 1)
	h[46] = 'a'
	for range n {
		b.Write(h)
	}
	size := b.Len()
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	le.PutUint16(end[8:], uint16(n))
	le.PutUint16(end[10:], uint16(n))
	le.PutUint32(end[12:], uint32(size))
	b.Write(end)
	return b.Bytes()
}

// FuzzZip unpacks anything and asserts that nothing appears beside the directory, nothing in it leads out of it, and
// nothing in it is special.
func FuzzZip(f *testing.F) {
	f.Add(archive(f, part{name: "a/b", body: "c"}, part{name: "l", body: "a/b", mode: link}))
	f.Add(archive(f, part{name: "../x", body: "c"}))
	f.Add(archive(f, part{name: "a", body: "..", mode: link}, part{name: "a/b"}))
	f.Add(archive(f, part{name: "x/y/z", body: "../..", mode: link}, part{name: "p", body: "x/y/z/q", mode: link}))
	f.Add(encrypted(f))
	f.Add(corrupt(f))
	f.Add(crowd(f, 3))
	f.Add(archive(f, part{name: `..\..\x`, body: "c"}, part{name: `a\b`, body: `..\..\x`, mode: link}))
	f.Fuzz(func(t *testing.T, data []byte) { staysInside(t, data) })
}

// FuzzZipNames does the same with well-formed archives of any names, links and modes.
func FuzzZipNames(f *testing.F) {
	f.Add("a", "b", "c/d", "../e", uint32(0))
	f.Add("x/y/z", "../..", "p", "x/y/z/../..", uint32(0o120777))
	f.Add("a", ".", "a/b", "c", uint32(0o120777))
	f.Add("./a", "b", "a/", "", uint32(0o40755))
	f.Add("a", "b", "B\\c", "d", uint32(0o60666))
	f.Add(`..\..\e`, "b", `c\d/e`, `..\f`, uint32(0o100644))
	f.Add(`a\b/c`, `..\..`, `\`, `..`, uint32(0o120777))
	f.Fuzz(func(t *testing.T, name1, body1, name2, body2 string, mode uint32) {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for i, p := range []part{{name: name1, body: body1}, {name: name2, body: body2}, {name: "l", body: name1}} {
			h := &zip.FileHeader{Name: p.name, CreatorVersion: 3 << 8, ExternalAttrs: mode << 16}
			if i == 2 {
				h.ExternalAttrs = 0o120777 << 16
			}
			e, err := w.CreateHeader(h)
			if err == nil {
				_, err = io.WriteString(e, p.body)
			}
			if err != nil {
				t.Skip("no archive can be made of this:", err)
			}
		}
		if err := w.Close(); err != nil {
			t.Skip("no archive can be made of this:", err)
		}
		staysInside(t, b.Bytes())
	})
}

func staysInside(t *testing.T, data []byte) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "in")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	entries, err := readZip(data)
	if err == nil {
		_, err = unpackZip(context.Background(), entries, root)
	}
	unpacked := err == nil
	var e *aws.Error
	if err != nil && !errors.As(err, &e) {
		t.Fatalf("not an answer for the caller: %v", err)
	}
	if beside, _ := os.ReadDir(outer); len(beside) != 1 {
		t.Fatalf("beside the directory: %v", beside)
	}
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		if d.Type() == fs.ModeSymlink {
			if to, err := filepath.EvalSymlinks(p); err == nil && to != dir && !strings.HasPrefix(to, dir+"/") {
				t.Fatalf("%s leads to %s", p, to)
			}
			return nil
		}
		fi, err := d.Info()
		if err != nil {
			t.Fatal(err)
		}
		// What failed is thrown away whole; what did not has the modes that sandboxes rely on.
		if m := fi.Mode(); err == nil && !d.IsDir() && !m.IsRegular() || unpacked && m != fs.ModeDir|0o755 && m != 0o644 && m != 0o755 {
			t.Fatalf("%s is %v", p, m)
		}
		return nil
	})
}
