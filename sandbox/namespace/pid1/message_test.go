package pid1

import (
	"reflect"
	"testing"
)

var ops = []Op{
	{Kind: OpDir, Target: "/opt", Mode: 0o755},
	{Kind: OpBind, Target: "/usr", Source: "/usr", File: -1, Flags: Optional | NoExec},
	{Kind: OpBind, Target: "/var/task", File: 3},
	{Kind: OpFile, Target: "/etc/hosts", Source: "127.0.0.1 localhost\n", Mode: 0o644},
}

func TestMessages(t *testing.T) {
	base := Base{Hostname: "sandbox", Listen: true, Ops: ops}
	enter := Enter{Filter: []byte{6, 0, 0, 0, 0, 0, 255, 127}, User: true}
	mounts := Mounts{Files: 1024, Image: ops[1:3], Skeleton: ops[:1], Ops: ops}
	start := Start{Args: []string{"/bin/sh", "-c", ""}, Env: []string{"A=1", "B=" + string([]byte{255, 0x80})}, Dir: "/tmp", Channel: true}
	var base2 Base
	var enter2 Enter
	var mounts2 Mounts
	var start2 Start
	for _, err := range []error{base2.Unmarshal(base.Marshal()), enter2.Unmarshal(enter.Marshal()), mounts2.Unmarshal(mounts.Marshal()), start2.Unmarshal(start.Marshal())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(base, base2) || !reflect.DeepEqual(enter, enter2) || !reflect.DeepEqual(mounts, mounts2) || !reflect.DeepEqual(start, start2) {
		t.Errorf("messages changed on the way:\n%+v\n%+v\n%+v\n%+v", base2, enter2, mounts2, start2)
	}
	if n, err := UnmarshalUint(MarshalUint(1<<40 + 5)); n != 1<<40+5 || err != nil {
		t.Errorf("number %d %v", n, err)
	}
}

func TestMessagesThatAreCutOffAreRefused(t *testing.T) {
	whole := Mounts{Files: 1024, Image: ops[1:3], Ops: ops}.Marshal()
	for n := range whole {
		var m Mounts
		if m.Unmarshal(whole[:n]) == nil {
			t.Errorf("the first %d of %d bytes were taken for a message", n, len(whole))
		}
	}
	var m Mounts
	if m.Unmarshal(append(whole, 0)) == nil {
		t.Error("a message with a byte too many was taken")
	}
}

// What comes over the socket is the server's own, but lengths that lie must not cost memory.
func FuzzMessages(f *testing.F) {
	f.Add(Base{Hostname: "h", Ops: ops}.Marshal())
	f.Add(Enter{Filter: []byte("x"), User: true}.Marshal())
	f.Add(Mounts{Files: 3, Image: ops, Ops: ops}.Marshal())
	f.Add(Start{Args: []string{"a"}, Env: []string{"b"}}.Marshal())
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		var base Base
		var enter Enter
		var mounts Mounts
		var start Start
		if base.Unmarshal(b) == nil && len(base.Ops) > len(b) {
			t.Error("more ops than bytes")
		}
		if mounts.Unmarshal(b) == nil && string(mounts.Marshal()) != string(b) {
			var again Mounts
			if again.Unmarshal(mounts.Marshal()) != nil || !reflect.DeepEqual(mounts, again) {
				t.Error("a message changed on the way")
			}
		}
		if enter.Unmarshal(b) == nil && len(enter.Filter) > len(b) {
			t.Error("more of a filter than bytes")
		}
		if start.Unmarshal(b) == nil && len(start.Args)+len(start.Env) > len(b) {
			t.Error("more strings than bytes")
		}
	})
}
