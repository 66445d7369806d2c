package pid1

import "errors"

// Version of the messages. A first process that was built from other sources is refused by it.
const Version = 8

// Listeners is how many descriptors answer a Base that had Listen: network.Listeners, the Runtime API's first.
const Listeners = 2

// Kind says what a message is.
type Kind byte

// The messages. Those down to Cont go to the first process, the others come from it.
const (
	KindBase    Kind = iota + 1 // Base
	KindEnter                   // Enter
	KindMount                   // Mounts
	KindClaim                   // Mounts
	KindConfig                  // what the process reads that waits, with the writing end of its standard input: after Claim if it waits
	KindStart                   // Start, with the files that become descriptors 1 and 2, or before Claim 0, 1 and 2
	KindKill                    // no body
	KindTerm                    // no body
	KindStop                    // no body
	KindCont                    // no body
	KindHello                   // a number: Version
	KindDone                    // an error's text, empty if it is done; after Base, if it had Listen, with the Listeners
	KindStarted                 // an errno, 0 if the process runs, with the driver's end of its channel; with OfDir if the directory is why
	KindExited                  // a wait status
)

// OfDir is added to the errno of a Start whose directory cannot be entered.
const OfDir = 1 << 16

// MaxMessage is the most bytes a message may have. Linux takes no more than 2 MiB of arguments and environment together.
const MaxMessage = 4 << 20

// MaxFiles is the most descriptors that come with one message. The kernel takes 253.
const MaxFiles = 250

// Op makes one thing in the sandbox's file system.
type Op struct {
	Kind   OpKind
	Target string // absolute, clean
	Source string // Bind: host path, if File < 0. Link: where to. File: contents. Tmpfs: options
	Mode   uint32 // Dir and File
	File   int    // Bind: index of the descriptor of a detached mount that came with the message, or -1
	Flags  OpFlag
}

// OpKind says what an Op makes.
type OpKind byte

// What Ops make. Parents of the target are made, mode 0755.
const (
	OpDir OpKind = iota + 1
	OpFile
	OpLink
	OpBind
	OpTmpfs
	OpProc
)

// OpFlag changes how.
type OpFlag byte

const (
	// Optional leaves a Bind out if its source does not exist.
	Optional OpFlag = 1 << iota
	// Device lets a Bind of a device node work. All other mounts are nodev.
	Device
	// NoExec forbids to run what is below.
	NoExec
	// Mask is a Bind over what is there already, and is left out if nothing is.
	Mask
)

// Base is what all sandboxes of a driver have.
type Base struct {
	Hostname string
	Listen   bool // the network namespace is ours: bring it up and answer with Listeners. Else the driver has
	Ops      []Op
}

// Enter is how the function's processes are confined.
type Enter struct {
	Filter []byte // seccomp program
	User   bool   // there is a user 0 to be, and the function is to be UID and GID. Else everything is UID already
}

// Mounts is what this sandbox has.
type Mounts struct {
	Files int // RLIMIT_NOFILE, 0 to leave it
	// Image are the layers of a container image, the highest first, each like an OpBind without a target. The image becomes the root,
	// with Skeleton above it, and what the sandbox has by itself: /proc and /dev. Empty: the host's programs stay. Only for Claim.
	Image    []Op
	Skeleton []Op
	Ops      []Op
}

// Start is a process.
type Start struct {
	Args, Env []string
	Dir       string
	Channel   bool // descriptor 3 is one end of a stream socket
}

// Who the function is, as on AWS, and where it finds the Runtime API.
const (
	UID      = 993
	GID      = 990
	UserName = "sbx_user1051"
)

// Marshal is the message's bytes.
func (m Base) Marshal() []byte {
	b := appendString(nil, m.Hostname)
	b = appendBool(b, m.Listen)
	return appendOps(b, m.Ops)
}

// Unmarshal reads what Marshal wrote.
func (m *Base) Unmarshal(b []byte) error {
	r := reader{b: b}
	m.Hostname, m.Listen, m.Ops = r.str(), r.bool(), r.ops()
	return r.end()
}

// Marshal is the message's bytes.
func (m Enter) Marshal() []byte { return appendBool(appendString(nil, string(m.Filter)), m.User) }

// Unmarshal reads what Marshal wrote.
func (m *Enter) Unmarshal(b []byte) error {
	r := reader{b: b}
	m.Filter, m.User = []byte(r.str()), r.bool()
	return r.end()
}

// Marshal is the message's bytes.
func (m Mounts) Marshal() []byte {
	b := appendOps(appendUint(nil, uint64(m.Files)), m.Image)
	return appendOps(appendOps(b, m.Skeleton), m.Ops)
}

// Unmarshal reads what Marshal wrote.
func (m *Mounts) Unmarshal(b []byte) error {
	r := reader{b: b}
	m.Files, m.Image, m.Skeleton, m.Ops = int(r.uint()), r.ops(), r.ops(), r.ops()
	return r.end()
}

// Marshal is the message's bytes.
func (m Start) Marshal() []byte {
	b := appendStrings(nil, m.Args)
	b = appendStrings(b, m.Env)
	return appendBool(appendString(b, m.Dir), m.Channel)
}

// Unmarshal reads what Marshal wrote.
func (m *Start) Unmarshal(b []byte) error {
	r := reader{b: b}
	m.Args, m.Env, m.Dir, m.Channel = r.strs(), r.strs(), r.str(), r.bool()
	return r.end()
}

// MarshalUint is the body of the messages that are a number.
func MarshalUint(n uint64) []byte { return appendUint(nil, n) }

// UnmarshalUint reads what MarshalUint wrote.
func UnmarshalUint(b []byte) (uint64, error) {
	r := reader{b: b}
	n := r.uint()
	return n, r.end()
}

func appendUint(b []byte, n uint64) []byte {
	return append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32), byte(n>>40), byte(n>>48), byte(n>>56))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendString(b []byte, s string) []byte { return append(appendUint(b, uint64(len(s))), s...) }

func appendStrings(b []byte, ss []string) []byte {
	b = appendUint(b, uint64(len(ss)))
	for _, s := range ss {
		b = appendString(b, s)
	}
	return b
}

func appendOps(b []byte, ops []Op) []byte {
	b = appendUint(b, uint64(len(ops)))
	for _, op := range ops {
		b = append(b, byte(op.Kind), byte(op.Flags))
		b = appendString(b, op.Target)
		b = appendString(b, op.Source)
		b = appendUint(b, uint64(op.Mode))
		b = appendUint(b, uint64(int64(op.File)))
	}
	return b
}

var errMessage = errors.New("pid1: message cannot be read")

// A reader takes a message apart. After the first error it gives zeros; end tells.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uint() uint64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

func (r *reader) byte() byte {
	b := r.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (r *reader) bool() bool  { return r.byte() == 1 }
func (r *reader) str() string { return string(r.take(r.uint())) }

// count is the length of a list whose elements take at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uint()
	if n > uint64(len(r.b)/size) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) strs() []string {
	var out []string
	for range r.count(8) {
		out = append(out, r.str())
	}
	return out
}

func (r *reader) ops() []Op {
	var out []Op
	for range r.count(34) {
		op := Op{Kind: OpKind(r.byte()), Flags: OpFlag(r.byte())}
		op.Target, op.Source = r.str(), r.str()
		op.Mode, op.File = uint32(r.uint()), int(int64(r.uint()))
		out = append(out, op)
	}
	return out
}

func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return errMessage
	}
	return nil
}
