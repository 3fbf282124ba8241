package testbed

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/weirbench/weir/internal/scrub"
	"github.com/weirbench/weir/scenarios"
)

// envRun names the variable that holds the run's name, by which what a target starts is known as the run's.
const envRun = "WEIR_RUN"

// targetEnv is what a target gets as its environment, and what hides the secrets of it.
type targetEnv struct {
	vars map[string]string
	hide func(string) string // nil where there is no secret
}

// newTargetEnv reads the secrets of the plan's variables, which come over those of weir. The error names the variable, and
// where its secret was looked for.
func newTargetEnv(plan []scenarios.EnvVar, p placing) (targetEnv, error) {
	env := targetEnv{vars: map[string]string{
		"PORT": strconv.Itoa(p.port), "KAFKA_SEEDS": strings.Join(p.seeds, ","), "KAFKA_TOPICS": strings.Join(p.topics, ","), envRun: p.run,
	}}
	var secrets []string
	for _, v := range plan {
		if v.Name == envRun && p.fill(v.Value) != p.run {
			return env, fmt.Errorf("the variable %s is weir's: it tells the run's processes from others (leave it out)", envRun)
		}
		if v.Secret == nil {
			env.vars[v.Name] = p.fill(v.Value)
			continue
		}
		secret, err := v.Secret.Read()
		if err != nil {
			return env, fmt.Errorf("set the variable %s: %w", v.Name, err)
		}
		env.vars[v.Name] = v.Value + secret
		secrets = append(secrets, secret)
	}
	if hide := scrub.New(secrets...); hide.Any() {
		env.hide = hide.Text
	}
	return env, nil
}

// list is the environment of a program: beside what the target is told only what a program needs to find its way.
func (e targetEnv) list() []string {
	var list []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG"} {
		if _, told := e.vars[name]; told {
			continue
		}
		if value, ok := os.LookupEnv(name); ok {
			list = append(list, name+"="+value)
		}
	}
	for name, value := range e.vars {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}
