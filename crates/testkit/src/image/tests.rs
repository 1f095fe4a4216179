use std::io::Read;

use super::*;

fn listing(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().expect("an archive");
    let describe = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.expect("an entry");
        let header = entry.header().clone();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
        let mut content = String::new();
        entry.read_to_string(&mut content).expect("text");
        let (mode, uid, gid) = (header.mode(), header.uid(), header.gid());
        let numbers = (mode.expect("mode"), uid.expect("uid"), gid.expect("gid"));
        format!(
            "{name} {:o} {}:{} {:?} {link:?} {content:?}",
            numbers.0,
            numbers.1,
            numbers.2,
            header.entry_type(),
        )
    };
    entries.map(describe).collect()
}

#[test]
fn lines_become_entries() {
    let long = "x".repeat(150);
    let text = format!(
        r#"
        # a comment
        /bin/            0755 0:0
        /bin/sh          0755 0:7 file "a \"b\"\n" mtime=5 user.note="v w"
        /bin/bash        0777 0:0 symlink "sh"
        /bin/again       0755 0:0 hardlink "/bin/sh"
        /dev/null        0666 0:0 char 1,3
        /pipe            0600 3:4 fifo
        "../../etc/x"    0644 0:0 file ""
        "/absolute"      0644 0:0 file ""
        /{long}          0644 0:0 file ""
        "#
    );
    let expected = [
        "bin/ 755 0:0 Directory None \"\"".to_owned(),
        "bin/sh 755 0:7 Regular None \"a \\\"b\\\"\\n\"".to_owned(),
        "bin/bash 777 0:0 Symlink Some(\"sh\") \"\"".to_owned(),
        "bin/again 755 0:0 Link Some(\"bin/sh\") \"\"".to_owned(),
        "dev/null 666 0:0 Char None \"\"".to_owned(),
        "pipe 600 3:4 Fifo None \"\"".to_owned(),
        "../../etc/x 644 0:0 Regular None \"\"".to_owned(),
        "/absolute 644 0:0 Regular None \"\"".to_owned(),
        format!("{long} 644 0:0 Regular None \"\""),
    ];
    assert_eq!(listing(&layer_tar(&text)), expected);
}

#[test]
fn broken_layers_are_broken_in_one_way_each() {
    let text = r#"/a 0644 0:0 file "a""#;
    let good = TestImage::new().layer(text).build().layers.remove(0);
    let corrupt = TestImage::new().layer(text).corrupt().build().layers.remove(0);
    let misnamed = TestImage::new().layer(text).wrong_diff_id().build().layers.remove(0);
    assert_eq!(sha256(&good.blob), good.digest);
    assert_eq!((&corrupt.digest, &corrupt.diff_id), (&good.digest, &good.diff_id));
    assert_ne!(sha256(&corrupt.blob), corrupt.digest);
    assert_eq!((&misnamed.digest, &misnamed.blob), (&good.digest, &good.blob));
    assert_ne!(misnamed.diff_id, good.diff_id);
}
