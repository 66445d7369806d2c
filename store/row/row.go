// Package row puts small rows together and takes them apart where that is done too often for reflection: texts, each after its length,
// and numbers.
//
// A row that is read may hold anything: nothing is made of it that is larger than it is.
package row

import "encoding/binary"

// AppendText adds a text after its length.
func AppendText[T ~string | ~[]byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// Reader takes a row apart, in the order that it was put together in. After something that is not there it answers zeros.
type Reader struct {
	Rest []byte // what is not read yet
	Bad  bool   // something was not there
}

// Text reads what [AppendText] added.
func (r *Reader) Text() string {
	n := r.Count(1)
	text := string(r.Rest[:n])
	r.Rest = r.Rest[n:]
	return text
}

// Count reads a number that binary.AppendUvarint added of things that follow and take at least size bytes each.
func (r *Reader) Count(size int) int {
	n, used := binary.Uvarint(r.Rest)
	if used <= 0 || n > uint64((len(r.Rest)-used)/size) {
		r.fail()
		return 0
	}
	r.Rest = r.Rest[used:]
	return int(n)
}

// Number reads what binary.AppendVarint added.
func (r *Reader) Number() int64 {
	n, used := binary.Varint(r.Rest)
	if used <= 0 {
		r.fail()
		return 0
	}
	r.Rest = r.Rest[used:]
	return n
}

// Unsigned reads what binary.AppendUvarint added.
func (r *Reader) Unsigned() uint64 {
	n, used := binary.Uvarint(r.Rest)
	if used <= 0 {
		r.fail()
		return 0
	}
	r.Rest = r.Rest[used:]
	return n
}

// Octet reads a byte.
func (r *Reader) Octet() byte {
	if len(r.Rest) == 0 {
		r.fail()
		return 0
	}
	c := r.Rest[0]
	r.Rest = r.Rest[1:]
	return c
}

func (r *Reader) fail() { r.Rest, r.Bad = nil, true }
