# One check: it says how it went, and does not end those after it.
check() {
    name=$1
    # Not in a condition: `set -e` would not count in there.
    (set -e; eval "$2") > log 2>&1 < /dev/null
    if [ $? -eq 0 ]; then
        echo "CHECKED|$name|works|"
    else
        echo "CHECKED|$name|fails|$(grep -v '^ *$' log | tail -n 1 | cut -c 1-150 | tr '|' '/')"
    fi
}
