package sandboxtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The floods say a word when they have begun to bite, and never end by themselves.

// probeHog has a child use memory until it is killed, again and again.
func probeHog([]string) int {
	for n := 0; ; n++ {
		err := exec.Command(os.Args[0], probeArg, "allocate", "1000").Run()
		if err == nil {
			return fail(fmt.Errorf("1000 MiB were no problem"))
		}
		fmt.Println("killed", n, err)
	}
}

// probeOpenAll opens files in as many processes as it may have.
func probeOpenAll(args []string) int {
	for n := 0; ; n++ {
		c := exec.Command(os.Args[0], probeArg, "open-some", args[0])
		if err := c.Start(); err != nil {
			if n < 2 {
				return fail(err)
			}
			fmt.Println("no more after", n)
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Millisecond)
		if n == 10 {
			fmt.Println("ten have begun")
		}
	}
}

func probeOpenSome(args []string) int {
	most, _ := strconv.Atoi(args[0])
	for range most {
		if _, err := syscall.Open("/usr", syscall.O_RDONLY, 0); err != nil {
			break
		}
	}
	time.Sleep(time.Minute)
	return 0
}

// probeFillAll fills a directory, by bytes and by names, over and over.
func probeFillAll(args []string) int {
	block := make([]byte, 1<<20)
	for round := 0; ; round++ {
		for n := 0; ; n++ {
			name := filepath.Join(args[0], fmt.Sprint("f", n))
			if err := os.WriteFile(name, block, 0o600); err != nil {
				fmt.Println("full after", n, err)
				break
			}
		}
		for n := 0; ; n++ {
			if os.Symlink("x", filepath.Join(args[0], fmt.Sprint("l", n))) != nil {
				break
			}
		}
		left, _ := filepath.Glob(filepath.Join(args[0], "[fl][0-9]*"))
		for _, name := range left {
			os.Remove(name)
		}
	}
}

// probeFloodAll writes to its log as fast as it can.
func probeFloodAll([]string) int {
	block := []byte(strings.Repeat("x", 1<<10) + "\n")
	for n := 0; n < 64<<10; n++ { // 64 MiB: the test keeps what comes
		if _, err := syscall.Write(1, block); err != nil {
			return fail(err)
		}
	}
	time.Sleep(time.Minute)
	return 0
}

// probeConnectAll connects to its Runtime API as often as it can, and says nothing there.
func probeConnectAll(args []string) int {
	var keep []net.Conn
	for {
		c, err := net.DialTimeout("tcp", args[0], 200*time.Millisecond)
		if err != nil {
			fmt.Println("no more after", len(keep), err)
			time.Sleep(10 * time.Millisecond)
			for _, c := range keep[:len(keep)/2] {
				c.Close()
			}
			keep = keep[len(keep)/2:]
			continue
		}
		keep = append(keep, c)
	}
}

// probeWork works in rounds, each of which needs what a flood elsewhere might take, and says a line after each.
func probeWork([]string) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fail(err)
	}
	for n := 0; ; n++ {
		if err := workRound(l); err != nil {
			return fail(err)
		}
		fmt.Println("round", n)
		time.Sleep(time.Millisecond)
	}
}

func workRound(l net.Listener) error {
	file := filepath.Join(os.TempDir(), "work")
	if err := os.WriteFile(file, make([]byte, 64<<10), 0o600); err != nil {
		return err
	}
	if err := os.Remove(file); err != nil {
		return err
	}
	if err := exec.Command("/bin/true").Run(); err != nil {
		return err
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	a, err := l.Accept()
	if err != nil {
		return err
	}
	return a.Close()
}

// probeSockets connects to itself and sends what it never reads, until so many MiB are on the way or no more is taken.
func probeSockets(args []string) int {
	most, _ := strconv.Atoi(args[0])
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fail(err)
	}
	if err := unix.Listen(l, 128); err != nil {
		return fail(err)
	}
	at, err := unix.Getsockname(l)
	if err != nil {
		return fail(err)
	}
	block, sent := make([]byte, 256<<10), 0
	for range 300 {
		n, err := sendUnread(l, at, block)
		if err != nil {
			return fail(err)
		}
		if sent += n; sent > most<<20 {
			break
		}
	}
	fmt.Println(sent >> 20)
	return 0
}

// sendUnread makes one connection and sends as much as it takes.
func sendUnread(l int, at unix.Sockaddr, block []byte) (sent int, err error) {
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Connect(c, at); err != nil {
		return 0, err
	}
	if _, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC); err != nil {
		return 0, err
	}
	if err := unix.SetNonblock(c, true); err != nil {
		return 0, err
	}
	for {
		n, err := unix.Write(c, block)
		if err != nil {
			return sent, nil
		}
		sent += n
	}
}
