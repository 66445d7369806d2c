package test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Deployment packages that mean harm are refused as AWS refuses a broken one, quickly, and leave nothing on the disk.
func TestHostilePackages(t *testing.T) {
	s := startServer(t)
	ctx, c := t.Context(), s.lambda(t)
	outside := filepath.Join(filepath.Dir(s.dir), "escaped")
	boot := file{"bootstrap", binaries.misbehave, 0o755}
	const (
		broken = "400 InvalidParameterValueException: Could not unzip uploaded file. Please check your file, then try to upload again."
		large  = "400 InvalidParameterValueException: Unzipped size must be smaller than 262144000 bytes"
	)
	before := diskUse(t, s.dir)
	for _, tt := range []struct {
		name string
		zip  []byte
		want string
	}{
		{"nothing in it", zipOf(t), "400 InvalidParameterValueException: Uploaded file must be a non-empty zip"},
		{"not a zip", bytes.Repeat([]byte("PK"), 1000), broken},
		{"cut off", bootstrap(t, binaries.misbehave)[:1000], broken},
		{"up and out", zipOf(t, boot, file{"../../escaped", []byte("x"), 0}), broken},
		{"hidden up and out", zipOf(t, boot, file{"a/b/../../../../escaped", []byte("x"), 0}), broken},
		{"absolute", zipOf(t, boot, file{outside, []byte("x"), 0}), broken},
		{"up and out after a backslash", zipOf(t, boot, file{`a\b/../../escaped`, []byte("x"), 0}), broken},
		{"a link out", zipOf(t, boot, file{"link", []byte("/etc/passwd"), os.ModeSymlink | 0o777}), broken},
		{"through a link", zipOf(t, boot, file{"dir", []byte(".."), os.ModeSymlink | 0o777}, file{"dir/escaped", []byte("x"), 0}), broken},
		{"the same name twice", zipOf(t, boot, file{"a", []byte("1"), 0}, file{"a", []byte("2"), 0}), broken},
		{"a file that is a folder", zipOf(t, boot, file{"a", []byte("1"), 0}, file{"a/b", []byte("2"), 0}), broken},
		{"encrypted", encrypted(zipOf(t, boot)), broken},
		{"a device", zipOf(t, boot, file{"null", nil, os.ModeDevice | os.ModeCharDevice | 0o666}), broken},
		{"a bomb", bomb(t, 300<<20, false), large},
		{"a bomb that lies about its size", bomb(t, 300<<20, true), broken},
		{"more than a hundred thousand files", manyFiles(t, 100_001), broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			begun := time.Now()
			_, err := c.CreateFunction(ctx, &lambda.CreateFunctionInput{
				FunctionName: aws.String("hostile"), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("x"), Role: aws.String(role),
				Code: &types.FunctionCode{ZipFile: tt.zip},
			})
			got := fault(err)
			// Which rule a package breaks may follow AWS's words.
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if _, err := os.Lstat(outside); err == nil {
				t.Error("the package wrote outside its folder")
			}
		})
	}
	if after := diskUse(t, s.dir); after > before+8<<20 {
		t.Errorf("refused packages left %d bytes", after-before)
	}
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("fine"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}})
	if o := s.invoke(t, "fine", `{"do":"echo"}`); o.failed != "" {
		t.Errorf("afterwards: %+v", o)
	}
}

// encrypted sets the flag that says so, in every header of the package.
func encrypted(z []byte) []byte {
	for _, sig := range []struct {
		mark []byte
		at   int
	}{{[]byte("PK\x03\x04"), 6}, {[]byte("PK\x01\x02"), 8}} {
		if i := bytes.Index(z, sig.mark); i >= 0 {
			z[i+sig.at] |= 1
		}
	}
	return z
}

// bomb is a package of one file that unzips to so many zeroes. One that lies says the file has a single byte.
func bomb(t *testing.T, size int64, lies bool) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	sum := crc32.NewIEEE()
	if _, err := io.CopyN(io.MultiWriter(w, sum), zeroes{}, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	said := uint64(size)
	if lies {
		said = 1
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	f, err := z.CreateRaw(&zip.FileHeader{
		Name: "bootstrap", Method: zip.Deflate, CRC32: sum.Sum32(), CompressedSize64: uint64(packed.Len()), UncompressedSize64: said,
	})
	if err == nil {
		_, err = f.Write(packed.Bytes())
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// manyFiles is a package of so many empty files, as a zip64 or with a count that overflows.
func manyFiles(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range n {
		if _, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("f%06d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if binary.LittleEndian.Uint16(b.Bytes()[b.Len()-12:]) != 0xffff && n > 0xffff {
		t.Fatal("the count did not overflow")
	}
	return b.Bytes()
}

// diskUse is the bytes of all files below a folder.
func diskUse(t *testing.T, dir string) (n int64) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
