//go:build linux && (amd64 || arm64)

package seccomp

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// A rule judges a call by its arguments: it is allowed if one of ok matches, or with not, if none does.
type rule struct {
	call uint32
	not  bool
	ok   []match
}

// A match holds if all its conditions do.
type match []condition

// A condition holds if argument arg, masked, equals value, or with differs, if it does not. Only the lower 32 bits are looked at, as
// the kernel does for most arguments that are judged here, or with high, only the upper ones. A zero mask is all bits.
type condition struct {
	arg           int
	mask, value   uint32
	high, differs bool
}

// What a filter answers.
const (
	retAllow = unix.SECCOMP_RET_ALLOW
	retEPERM = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	retNoSys = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	retKill  = unix.SECCOMP_RET_KILL_PROCESS
)

// newest is the last call that existed when the list was made. Later ones fail with ENOSYS, so that callers fall back.
const newest = unix.SYS_MSEAL

// Offsets into struct seccomp_data.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// Filter is the program for this architecture, as the kernel takes it: struct sock_filter, eight bytes each.
func Filter() ([]byte, error) {
	prog, err := compile()
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(prog)*8)
	for _, in := range prog {
		out = binary.NativeEndian.AppendUint16(out, in.Code)
		out = append(out, in.Jt, in.Jf)
		out = binary.NativeEndian.AppendUint32(out, in.K)
	}
	return out, nil
}

// compile lays the program out: the architecture, then each judged call, then a binary search over ranges of call numbers,
// which costs a dozen steps instead of three hundred.
func compile() ([]unix.SockFilter, error) {
	prog := []unix.SockFilter{
		load(offArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		ret(retKill),
		load(offNr),
	}
	if foreignBit != 0 {
		prog = append(prog, jump(unix.BPF_JSET, foreignBit, 0, 1), ret(retKill))
	}
	rules := append(judged(), judgedHere()...)
	for _, r := range rules {
		body, err := r.compile()
		if err != nil {
			return nil, err
		}
		if len(body) > 255 {
			return nil, fmt.Errorf("seccomp: rule of call %d is too long", r.call)
		}
		prog = append(prog, jump(unix.BPF_JEQ, r.call, 0, uint8(len(body))))
		prog = append(prog, body...)
	}
	search, err := compileSearch(ranges())
	if err != nil {
		return nil, err
	}
	return append(prog, search...), nil
}

// compile is the body of a rule, entered when the call is r.call. It always returns.
func (r rule) compile() ([]unix.SockFilter, error) {
	hit, miss := uint32(retAllow), retEPERM
	if r.not {
		hit, miss = miss, hit
	}
	var body []unix.SockFilter
	for _, m := range r.ok {
		var part []unix.SockFilter
		for i, c := range m {
			if c.arg < 0 || c.arg > 5 {
				return nil, fmt.Errorf("seccomp: rule of call %d judges argument %d", r.call, c.arg)
			}
			half := uint32(lowHalf)
			if c.high {
				half = highHalf
			}
			part = append(part, load(offArgs+8*uint32(c.arg)+half))
			if c.mask != 0 {
				part = append(part, stmt(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, c.mask))
			}
			next := uint8(remaining(m[i+1:]) + 1) // past the other conditions and the return
			if c.differs {
				part = append(part, jump(unix.BPF_JEQ, c.value, next, 0))
			} else {
				part = append(part, jump(unix.BPF_JEQ, c.value, 0, next))
			}
		}
		body = append(body, append(part, ret(hit))...)
	}
	return append(body, ret(miss)), nil
}

// remaining is how many instructions the conditions take.
func remaining(m match) int {
	n := 0
	for _, c := range m {
		n += 2
		if c.mask != 0 {
			n++
		}
	}
	return n
}

// A span is a range of call numbers, up to the next span's first, with one answer.
type span struct{ first, ret uint32 }

// ranges are the spans of all call numbers, in order, starting at 0.
func ranges() []span {
	allowed := map[uint32]bool{}
	for _, g := range groups() {
		for _, nr := range g.calls {
			allowed[nr] = true
		}
	}
	answer := func(nr uint32) uint32 {
		switch {
		case allowed[nr]:
			return retAllow
		case nr > newest, slices.Contains(absent, nr):
			return retNoSys
		}
		return retEPERM
	}
	out := []span{{0, answer(0)}}
	for nr := uint32(1); nr <= newest+1; nr++ {
		if a := answer(nr); a != out[len(out)-1].ret {
			out = append(out, span{nr, a})
		}
	}
	return out
}

// compileSearch finds the span of the loaded call number.
func compileSearch(s []span) ([]unix.SockFilter, error) {
	if len(s) == 1 {
		return []unix.SockFilter{ret(s[0].ret)}, nil
	}
	mid := len(s) / 2
	below, err := compileSearch(s[:mid])
	if err != nil {
		return nil, err
	}
	above, err := compileSearch(s[mid:])
	if err != nil {
		return nil, err
	}
	if len(below) > 255 {
		return nil, fmt.Errorf("seccomp: %d spans are too many for one jump", len(s))
	}
	out := []unix.SockFilter{jump(unix.BPF_JGE, s[mid].first, uint8(len(below)), 0)}
	return append(append(out, below...), above...), nil
}

func load(off uint32) unix.SockFilter { return stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, off) }
func ret(k uint32) unix.SockFilter    { return stmt(unix.BPF_RET|unix.BPF_K, k) }

func stmt(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

// lowHalf and highHalf are where the halves of an argument are: both architectures are little-endian.
const (
	lowHalf  = 0
	highHalf = 4
)
