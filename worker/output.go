package worker

import (
	"bytes"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	maxEvent = 256 << 10 // bytes of one log event: a longer line becomes several
	tailSize = 4096      // bytes of an invocation's log that its caller may see
	// drainReads bounds how much is read at the end of an invocation: a function that never stops writing must not keep its
	// caller waiting. The rest is read as it comes.
	drainReads = 8
	// finishReads is for all that a dead process can have left in its pipe, which holds 1 MiB if the process wanted that.
	finishReads = 128
)

// output turns what a sandbox's processes write into log events, and adds the platform's own lines.
type output struct {
	logger Logger
	stream *LogStream
	system systemLog
	app    appLog
	// managed says that the processes are our bootstraps, which write a record of several lines as one line, with carriage
	// returns for its newlines. A custom runtime's bytes are its own.
	managed bool

	mu      sync.Mutex
	pipe    *os.File
	conn    syscall.RawConn
	partial []byte   // a line without its end yet
	of      *Request // whose log this is; nil between invocations
	tail    []byte   // of its log, at most 2*tailSize, if the caller wants it
}

// buffers are what pipes are read into. They are shared: most sandboxes are idle, and write little.
var buffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

func newOutput(l Logger, s *LogStream, f *Function) *output {
	return &output{logger: l, stream: s, system: newSystemLog(f), app: newAppLog(f), managed: f.RuntimeVersionArn != ""}
}

// attach reads a new process's pipe, which output closes.
func (o *output) attach(pipe *os.File) {
	o.finish()
	conn, err := pipe.SyscallConn()
	if err != nil {
		conn = nil // the pipe is closed: there is nothing to read
	}
	o.replace(pipe, conn)
	if conn != nil {
		go o.read(conn)
	}
}

// replace closes the pipe that was read so far. It does so without the lock, because Close waits for a read that may wait
// for the lock.
func (o *output) replace(pipe *os.File, conn syscall.RawConn) {
	o.mu.Lock()
	old := o.pipe
	o.pipe, o.conn = pipe, conn
	o.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// read takes what comes until the pipe ends or is closed. It never holds the lock while it waits.
func (o *output) read(conn syscall.RawConn) {
	eachTime(conn, func(fd uintptr) pipeState { return o.step(conn, fd) })
}

// pipeState is how a pipe was left.
type pipeState int

const (
	pipeMore pipeState = iota // there may be more
	pipeEmpty
	pipeEnded
)

// step is a part of read, between which others get the lock.
func (o *output) step(conn syscall.RawConn, fd uintptr) pipeState {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn != conn {
		return pipeEnded
	}
	return o.take(fd, drainReads)
}

// drain reads what is there now, so that an invocation's output stands before its END.
func (o *output) drain() { o.drainUpTo(drainReads) }

// finish reads what a dead process has left.
func (o *output) finish() { o.drainUpTo(finishReads) }

func (o *output) drainUpTo(reads int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn == nil {
		return
	}
	_ = o.conn.Control(func(fd uintptr) { o.take(fd, reads) })
	o.flush(time.Now())
}

// take reads without waiting, at most so often. The caller holds o.mu.
func (o *output) take(fd uintptr, reads int) pipeState {
	buf := buffers.Get().(*[16 << 10]byte)
	defer buffers.Put(buf)
	for range reads {
		n, state := readNow(fd, buf[:])
		if state != pipeMore {
			return state
		}
		o.split(buf[:n], time.Now())
	}
	return pipeMore
}

// split cuts lines. Newlines stay, as in CloudWatch. It may change b, and keeps nothing of it.
func (o *output) split(b []byte, at time.Time) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n') + 1
		if i > 0 && i <= maxEvent && len(o.partial) == 0 {
			o.line(at, b[:i])
			b = b[i:]
			continue
		}
		n := i
		if i == 0 {
			n = len(b)
		}
		n = min(n, maxEvent-len(o.partial))
		o.partial = append(o.partial, b[:n]...)
		b = b[n:]
		if i == n || len(o.partial) >= maxEvent {
			o.flush(at)
		}
	}
}

// flush emits a line that has no end. The caller holds o.mu.
func (o *output) flush(at time.Time) {
	if len(o.partial) == 0 {
		return
	}
	o.line(at, o.partial)
	o.partial = o.partial[:0]
	if cap(o.partial) > 64<<10 {
		o.partial = nil
	}
}

// line takes a line of a process, or a piece of one that is too long. It may change it. The caller holds o.mu.
func (o *output) line(at time.Time, line []byte) {
	if !o.app.drops(line) {
		o.emit(at, o.record(line))
	}
}

// record gives a managed runtime's line its newlines back. It changes line, which must be output's own.
func (o *output) record(line []byte) []byte {
	if !o.managed {
		return line
	}
	i := bytes.IndexByte(line, '\r')
	if i < 0 {
		return line
	}
	line, ended := bytes.CutSuffix(line, []byte("\r\n"))
	for ; i < len(line); i++ {
		if line[i] == '\r' {
			line[i] = '\n'
		}
	}
	if ended {
		line = line[:len(line)+1]
		line[len(line)-1] = '\n'
	}
	return line
}

// emit is where the function's events leave. The caller holds o.mu.
func (o *output) emit(at time.Time, event []byte) {
	o.logger.Log(o.stream, at, event)
	o.keepTail(event)
}

// emitPlatform is where the platform's leave, but for those that say that a phase begins. In a tail one begins a line, where a function
// has left one without its end; in the log it is an event of its own anyway. The caller holds o.mu.
func (o *output) emitPlatform(at time.Time, event []byte) {
	if n := len(o.tail); n > 0 && o.tail[n-1] != '\n' {
		o.tail = append(o.tail, '\n')
	}
	o.logger.LogPlatform(o.stream, at, event)
	o.keepTail(event)
}

// keepTail keeps an event for the invocation's caller, if that wants it. The caller holds o.mu.
func (o *output) keepTail(event []byte) {
	if o.of == nil || !o.of.Tail {
		return
	}
	if len(event) > tailSize {
		event = event[len(event)-tailSize:]
	}
	o.tail = append(o.tail, event...)
	if over := len(o.tail) - tailSize; over > tailSize {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
}

// close stops reading. What the process wrote last is still taken.
func (o *output) close() {
	o.finish()
	o.replace(nil, nil)
}

// initiate says that an Init phase is an invocation's: its caller sees what static code writes and how the phase failed, and, as on
// AWS, not that it began.
func (o *output) initiate(r *Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.belong(r)
}

// belong makes this the log of an invocation, if it is not yet. The caller holds o.mu.
func (o *output) belong(r *Request) {
	if o.of != r {
		o.of, o.tail = r, o.tail[:0]
	}
}

// begin starts an invocation's log.
func (o *output) begin(r *Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.belong(r)
	now := time.Now()
	if line := o.system.start(r, now); line != nil {
		o.emitPlatform(now, line)
	}
}

// end finishes an invocation's log and answers its tail, if the caller asked for it.
func (o *output) end(r *Request, resp *Response, fail *failure) []byte {
	o.drain()
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if fail != nil && fail.line != "" && !o.system.json {
		o.emitPlatform(now, []byte(fail.line))
	}
	if line := o.system.end(r); line != nil {
		o.emitPlatform(now, line)
	}
	if line := o.system.report(r, resp, fail, now); line != nil {
		o.emitPlatform(now, line)
	}
	o.of = nil
	if !r.Tail {
		return nil
	}
	return bytes.Clone(o.tail[max(0, len(o.tail)-tailSize):])
}

// initStart says that an Init phase begins: the first one, or one after a reset.
func (o *output) initStart(phase string) {
	o.began(func(at time.Time) []byte { return o.system.initStart(at, phase) })
}

// initReport says that an Init phase failed.
func (o *output) initReport(how initOutcome) {
	o.drain()
	o.platform(func(at time.Time) []byte { return o.system.initReport(at, how) })
}

// restoreStart says that a sandbox comes out of a snapshot.
func (o *output) restoreStart() { o.began(o.system.restoreStart) }

// restoreReport says how that went.
func (o *output) restoreReport(how initOutcome) {
	o.drain()
	o.platform(func(at time.Time) []byte { return o.system.restoreRuntimeDone(at, how) })
	o.platform(func(at time.Time) []byte { return o.system.restoreReport(at, how) })
}

// began logs that a phase begins, which no caller sees.
func (o *output) began(line func(at time.Time) []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if b := line(now); b != nil {
		o.logger.LogPlatform(o.stream, now, b)
	}
}

func (o *output) platform(line func(at time.Time) []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if b := line(now); b != nil {
		o.emitPlatform(now, b)
	}
}
