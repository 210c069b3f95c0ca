// What robfig/cron v3, the parser of Kubernetes' CronJob controller, makes of lines of JSON [schedule, zone, start]:
// the next six times in UTC, or null for a schedule that it refuses. ../robfig_cases.py runs it.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

func main() {
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var asked []string
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		t, err := time.Parse(time.RFC3339, asked[2])
		if err != nil {
			panic(err)
		}
		schedule, err := cron.ParseStandard("TZ=" + asked[1] + " " + asked[0])
		if err != nil {
			out.Encode(nil)
			continue
		}
		times := []string{}
		for i := 0; i < 6; i++ {
			if t = schedule.Next(t); t.IsZero() {
				break
			}
			times = append(times, t.UTC().Format(time.RFC3339))
		}
		out.Encode(times)
	}
}
