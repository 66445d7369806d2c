package guest

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// Version is that of the frames. The first process says it in Hello.
const Version = 3

// Kind says what a frame is.
type Kind byte

// What the driver says. Start gives out the number of a process.
const (
	KindStart  Kind = iota + 1 // Start: run a process
	KindKill                   // kill every process
	KindTerm                   // SIGTERM to the first process
	KindCredit                 // so many more bytes of output may be sent
	KindInput                  // bytes for the standard input; none are its end
	KindStop                   // SIGSTOP to every process
	KindCont                   // SIGCONT to every process
	KindLimit                  // the highest number of processes and threads
	KindEnter                  // the directory that the process, started with Share, is to be in; from then on it is on its own
	KindFlush                  // a number: answer it when all is sent that the process has written
)

// What the first process says.
const (
	KindHello   Kind = iota + 65 // Version: it is ready
	KindStarted                  // an errno, 0 if the process runs
	KindOutput                   // bytes of standard output
	KindErrors                   // bytes of standard error
	KindExited                   // the wait status; every other process is dead too
	KindClosed                   // no more output comes
	KindDone                     // the answer to Limit and Enter: an errno
	KindFlushed                  // the answer to Flush: its number
)

// MaxBody is the most bytes of a frame's body. Arguments and environment together are shorter on Linux as a rule, and so are events.
const MaxBody = 1 << 20

// Window is how many bytes of output of a process may be under way before the driver has asked for more.
const Window = 256 << 10

// chunk is the most bytes of output in a frame.
const chunk = 32 << 10

// A Frame is one message.
type Frame struct {
	Kind    Kind
	Process uint32 // its number, 0 where there is none
	Body    []byte
}

// ErrFrame says that what came is no frame.
var ErrFrame = errors.New("guest: bad frame")

const header = 9 // kind, process, length of the body

// Append adds a frame to b.
func (f Frame) Append(b []byte) []byte {
	b = append(b, byte(f.Kind))
	b = binary.LittleEndian.AppendUint32(b, f.Process)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Body)))
	return append(b, f.Body...)
}

// Read reads a frame: io.EOF at a clean end, ErrFrame for what is too long.
func Read(r io.Reader) (Frame, error) {
	var h [header]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return Frame{}, err
	}
	n := binary.LittleEndian.Uint32(h[5:])
	if n > MaxBody {
		return Frame{}, ErrFrame
	}
	f := Frame{Kind: Kind(h[0]), Process: binary.LittleEndian.Uint32(h[1:]), Body: make([]byte, n)}
	if _, err := io.ReadFull(r, f.Body); err != nil {
		return Frame{}, io.ErrUnexpectedEOF
	}
	return f, nil
}

// Number is a body that is a number.
func Number(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

// Number reads a body that is a number.
func (f Frame) Number() (uint32, error) {
	if len(f.Body) != 4 {
		return 0, ErrFrame
	}
	return binary.LittleEndian.Uint32(f.Body), nil
}

// A Start is a process to run.
type Start struct {
	Args, Env []string
	Dir       string
	Files     int  // the most open files
	Input     bool // its standard input is what KindInput brings; else it is empty
	One       bool // standard output and error are one
	Share     bool // its current directory is to be changed by KindEnter
}

const (
	flagInput = 1 << iota
	flagOne
	flagShare
)

// Marshal is the body of KindStart.
func (s Start) Marshal() []byte {
	flags := byte(0)
	if s.Input {
		flags |= flagInput
	}
	if s.One {
		flags |= flagOne
	}
	if s.Share {
		flags |= flagShare
	}
	b := append(Number(uint32(s.Files)), flags)
	for _, list := range [][]string{s.Args, s.Env, {s.Dir}} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
		for _, text := range list {
			b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
			b = append(b, text...)
		}
	}
	return b
}

// Unmarshal reads the body of KindStart.
func (s *Start) Unmarshal(b []byte) error {
	d := decoder{b}
	files, flags := d.number(), d.bytes(1)
	lists := [3][]string{d.list(), d.list(), d.list()}
	if d.rest == nil || len(d.rest) != 0 || len(lists[2]) != 1 || files > math.MaxInt32 {
		return ErrFrame
	}
	*s = Start{
		Args: lists[0], Env: lists[1], Dir: lists[2][0], Files: int(files),
		Input: flags[0]&flagInput != 0, One: flags[0]&flagOne != 0, Share: flags[0]&flagShare != 0,
	}
	return nil
}

// A decoder takes a body apart. Its rest is nil after a fault.
type decoder struct{ rest []byte }

func (d *decoder) bytes(n uint32) []byte {
	if d.rest == nil || uint64(n) > uint64(len(d.rest)) {
		d.rest = nil
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) number() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// list is bounded by the body: every text takes four bytes at least.
func (d *decoder) list() []string {
	n := d.number()
	if uint64(n)*4 > uint64(len(d.rest)) {
		d.rest = nil
		return nil
	}
	list := make([]string, 0, n)
	for range n {
		list = append(list, string(d.bytes(d.number())))
	}
	return list
}
