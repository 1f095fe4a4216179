# Programs that other languages make, and their tools, as check.sh has them.
mkdir -p /srv/languages
cd /srv/languages

check 'a Go program' '
    mkdir go; cd go
    export GOCACHE=$PWD/cache GOFLAGS=-mod=mod GOTOOLCHAIN=local CGO_ENABLED=0
    cat > main.go <<"end"
package main

import ("fmt"; "net"; "os"; "os/exec"; "os/user")

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil { panic(err) }
	done := make(chan error)
	for i := 0; i < 50; i++ {
		go func() { _, err := os.Stat("/etc/passwd"); done <- err }()
	}
	for i := 0; i < 50; i++ { if err := <-done; err != nil { panic(err) } }
	listener.Close()
	me, err := user.Current()
	if err != nil { panic(err) }
	if len(os.Args) == 1 {
		out, err := exec.Command("/proc/self/exe", "again").Output()
		if err != nil || string(out) != "root\n" { panic(fmt.Sprint(err, string(out))) }
	}
	fmt.Println(me.Username)
}
end
    go build -o program main.go
    test "$(./program)" = root'
check 'node and npm' '
    mkdir -p node/part; cd node
    export npm_config_cache=$PWD/cache npm_config_update_notifier=false HOME=$PWD
    echo "{\"name\": \"part\", \"version\": \"1.0.0\"}" > part/package.json
    echo "module.exports = 42" > part/index.js
    echo "{\"name\": \"whole\", \"version\": \"1.0.0\", \"private\": true, \"scripts\": {\"start\": \"node main.js\"}}" > package.json
    cat > main.js <<"end"
const { Worker } = require("worker_threads");
const { execFileSync } = require("child_process");
const worker = new Worker("require(\"worker_threads\").parentPort.postMessage(require(\"part\"))", { eval: true });
worker.on("message", (n) => console.log(n, execFileSync("id", ["-un"]).toString().trim()));
end
    npm install --silent --offline --no-audit --no-fund ./part
    npm run --silent start | grep -qx "42 root"'
check 'the JVM' 'java -Xshare:off -version 2>&1 | grep -q "64-Bit Server VM"'
check 'static programs' '
    cat > user.c <<"end"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
    char line[256];
    struct stat found;
    FILE *file = fopen("/etc/passwd", "r");
    if (!file || !fgets(line, sizeof line, file)) return 1;
    if (strncmp(line, "root:", 5) || getuid() || stat("/etc/shadow", &found)) return 2;
    fclose(file);
    return found.st_uid != 0 || mkdir("made", 0700) || chdir("made") || chdir("..") || rmdir("made");
}
end
    gcc -static -o static user.c; ./static'
check 'programs linked with musl' 'musl-gcc -o musl user.c; ./musl; musl-gcc -static -o musl user.c; ./musl'
check 'a 32-bit program' 'gcc -m32 -o narrow user.c; ./narrow; gcc -m32 -static -o narrow user.c; ./narrow'
rm -f log
