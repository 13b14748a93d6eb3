// Command mint makes the benchmark's token with LiveKit's own Go library until the time is up.
//
// Arguments: the request as JSON, the seconds to run. Answer: one line of JSON, as every minter here gives it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
)

const (
	batch = 200 // tokens between two looks at the clock
	life  = 15 * time.Minute
)

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

func (r *request) mint() (string, error) {
	yes := true
	token := auth.NewAccessToken(r.APIKey, r.APISecret).
		SetIdentity(r.Identity).
		SetName(r.Name).
		SetValidFor(life).
		SetVideoGrant(&auth.VideoGrant{
			RoomJoin: true, Room: r.Room, CanPublish: &yes, CanSubscribe: &yes, CanPublishData: &yes,
		})
	if r.Metadata != "" {
		token.SetMetadata(r.Metadata)
	}
	if len(r.Attributes) > 0 {
		token.SetAttributes(r.Attributes)
	}
	if r.Agent != "" {
		token.SetRoomConfig(&livekit.RoomConfiguration{
			Agents: []*livekit.RoomAgentDispatch{{AgentName: r.Agent}},
		})
	}
	return token.ToJWT()
}

func run() error {
	var wish request
	if len(os.Args) != 3 {
		return fmt.Errorf("two arguments are needed: the request as JSON, the seconds to run")
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &wish); err != nil {
		return err
	}
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	if err != nil {
		return err
	}
	var token string
	var each []float64
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for time.Now().Before(end) || len(each) == 0 {
		start := time.Now()
		for range batch {
			if token, err = wish.mint(); err != nil {
				return err
			}
		}
		each = append(each, time.Since(start).Seconds()/batch)
	}
	slices.Sort(each)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"token": token, "seconds": each[len(each)/2]})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
