//go:build amd64 || arm64

package gvisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/network"
)

// A keeper is a thread of ours that lives in a sandbox's mount and network namespaces as long as the sandbox does. What has to be done
// there is done by it. gVisor is its child, and is killed when it ends: with the server, however that ends.
type keeper struct {
	jobs chan func()
	gone chan struct{} // closed when the thread has ended

	runtimeAPI, awsAPI net.Listener
}

// newKeeper makes the namespaces, with the stage mounted and the listeners listening.
func newKeeper() (*keeper, error) {
	k := &keeper{jobs: make(chan func()), gone: make(chan struct{})}
	ready := make(chan error)
	go k.loop(ready)
	if err := <-ready; err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// loop never unlocks its thread, which therefore ends with it, and the namespaces with the thread. All but one: Go keeps the first
// thread of a process, so that one is held meanwhile, and another does the work.
func (k *keeper) loop(ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		go k.loop(ready)
		<-k.gone
		runtime.UnlockOSThread()
		return
	}
	defer close(k.gone)
	err := k.enter()
	ready <- err
	for job := range k.jobs {
		job()
	}
}

func (k *keeper) enter() error {
	const ns = unix.CLONE_FS | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if err := unix.Unshare(ns); err != nil {
		return fmt.Errorf("unshare namespaces: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make all mounts private: %w", err)
	}
	if err := mountStage(); err != nil {
		return err
	}
	if err := network.Unshare(); err != nil {
		return err
	}
	l, err := network.Listen()
	if err != nil {
		return err
	}
	return k.listen(l)
}

// listen takes sockets of the sandbox's network over.
func (k *keeper) listen(l network.Listeners) error {
	api, aws := os.NewFile(uintptr(l.Runtime), "runtime API"), os.NewFile(uintptr(l.AWS), "AWS API")
	defer api.Close() // FileListener has a copy
	defer aws.Close()
	var err error
	if k.runtimeAPI, err = net.FileListener(api); err != nil {
		return err
	}
	k.awsAPI, err = net.FileListener(aws)
	return err
}

// errKeeperGone says that the sandbox is destroyed.
var errKeeperGone = errors.New("the sandbox's namespaces are gone")

// do runs fn on the thread and waits for it. Not after close.
func (k *keeper) do(fn func() error) error {
	done := make(chan error, 1)
	select {
	case k.jobs <- func() { done <- fn() }:
		return <-done
	case <-k.gone:
		return errKeeperGone
	}
}

// close ends the thread. What it has started is dead by then.
func (k *keeper) close() {
	for _, l := range []net.Listener{k.runtimeAPI, k.awsAPI} {
		if l != nil {
			l.Close()
		}
	}
	close(k.jobs)
	<-k.gone
}
