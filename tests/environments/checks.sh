# What real Dockerfiles do, one check after another, as check.sh has them.
# PACKAGE_HOST is where this root's packages come from.
export DEBIAN_FRONTEND=noninteractive
mkdir -p /srv/checks
cd /srv/checks

check 'apt-get update, apt-get install' '
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends adduser ca-certificates dbus gcc libc6-dev libcap2-bin make \
        openssh-client python3 python3-venv
    test -s /etc/ssl/certs/ca-certificates.crt
    dbus-uuidgen --ensure
    ssh-keygen -q -t ed25519 -N "" -f key'
check 'useradd, adduser' '
    useradd --create-home --uid 1500 one
    adduser --quiet --disabled-password --gecos "" two
    test "$(stat -c %U /home/two)" = two'
check 'chown by name' 'touch named; chown one:daemon named; test "$(stat -c %U:%G named)" = one:daemon'
check 'su' 'test "$(su one -c "id -un")" = one'
check 'setpriv' 'test "$(setpriv --reuid one --regid one --init-groups id -un)" = one'
check 'an archive with many owners' '
    mkdir many
    for id in 1 33 1000 5000 60000; do echo $id > many/$id; chown $id:$id many/$id; done
    tar -cf many.tar many; rm -r many; tar -xf many.tar
    for id in 1 33 1000 5000 60000; do test "$(stat -c %u:%g many/$id)" = $id:$id; done'
check 'setcap, getcap' 'cp /bin/true capable; setcap cap_net_raw+ep capable; getcap capable | grep -q cap_net_raw'
check 'mknod of a device' 'mknod null c 1 3; test "$(stat -c %t:%T null)" = 1:3'
check 'hard links' 'echo x > first; ln first second; test "$(stat -c %h second)" = 2'
check 'process substitution' 'test "$(bash -c "cat <(echo x)")" = x'
check '/proc/self/fd, /proc/self/exe' 'ls /proc/self/fd > list; test "$(readlink /proc/self/exe)" = /usr/bin/readlink'
check '/dev/stdout, /dev/null' 'test "$(echo x > /dev/stdout)" = x; echo x > /dev/null; test -c /dev/null'
check '/dev/shm' 'echo x > /dev/shm/file; test -s /dev/shm/file; rm /dev/shm/file'
check 'a terminal' 'script -qc tty /dev/null | grep -q /dev/pts/'
check 'DNS' 'getent hosts "$PACKAGE_HOST"'
check 'a compile with make -j' '
    mkdir compile; cd compile
    for n in 1 2 3 4 5 6 7 8; do echo "int f$n(void) { return $n; }" > f$n.c; done
    echo "int f1(void); int f8(void); int main(void) { return f1() + f8() - 9; }" > main.c
    printf "main: main.o f1.o f2.o f3.o f4.o f5.o f6.o f7.o f8.o\n\tcc -o main *.o\n" > Makefile
    make -j4; ./main'
check 'a Python environment' 'python3 -m venv --without-pip venv; venv/bin/python -c "import sys; assert sys.prefix.endswith(\"venv\")"'
check 'a daemon left running' '(setsid sleep 1000 > /dev/null 2>&1 &)'
rm -f log
