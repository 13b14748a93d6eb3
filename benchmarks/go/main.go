// Command mint is LiveKit's own Go library as a minter: for each number on a line of its input it mints so many
// tokens and tells the time they took.
//
// Argument: the request as JSON. Answers: one line of JSON each, {"seconds": …, "token": …}, in seconds of the
// processor's time.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
)

const life = 15 * time.Minute

type request struct {
	APIKey     string            `json:"api_key"`
	APISecret  string            `json:"api_secret"`
	Identity   string            `json:"identity"`
	Name       string            `json:"name"`
	Room       string            `json:"room"`
	Agent      string            `json:"agent"`
	Metadata   string            `json:"metadata"`
	Attributes map[string]string `json:"attributes"`
}

type answer struct {
	Seconds float64 `json:"seconds"`
	Token   string  `json:"token"`
}

func (r *request) token() *auth.AccessToken {
	yes := true
	return auth.NewAccessToken(r.APIKey, r.APISecret).
		SetIdentity(r.Identity).
		SetName(r.Name).
		SetValidFor(life).
		SetVideoGrant(&auth.VideoGrant{
			RoomJoin: true, Room: r.Room, CanPublish: &yes, CanSubscribe: &yes, CanPublishData: &yes,
		})
}

func (r *request) join() (string, error) {
	return r.token().ToJWT()
}

func (r *request) full() (string, error) {
	return r.token().
		SetMetadata(r.Metadata).
		SetAttributes(r.Attributes). // which copies them
		SetRoomConfig(&livekit.RoomConfiguration{Agents: []*livekit.RoomAgentDispatch{{AgentName: r.Agent}}}).
		ToJWT()
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it fails for wrong arguments only
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("one argument is needed: the request as JSON")
	}
	var asked request
	if err := json.Unmarshal([]byte(os.Args[1]), &asked); err != nil {
		return err
	}
	mint := asked.join
	if asked.Agent != "" {
		mint = asked.full
	}
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		count, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		var token string
		start := processorTime()
		for range count {
			if token, err = mint(); err != nil {
				return err
			}
		}
		if err := out.Encode(answer{(processorTime() - start).Seconds(), token}); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
