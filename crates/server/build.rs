// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Puts the built console into the program: the files of `console/dist`, which `scripts/build-console` makes. Where nobody built
//! it the program is built without, and says so on its page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let built = manifest.join("../../console/dist");
    println!("cargo:rerun-if-changed={}", built.display());
    println!("cargo:rerun-if-changed=build.rs");

    let mut files = Vec::new();
    if built.join("index.html").is_file() {
        collect(&built, &mut files)?;
        files.sort();
    }
    let mut source = String::from("static FILES: &[File] = &[\n");
    for file in files.iter().filter(|file| file.extension().is_none_or(|extension| extension != "br")) {
        let path = file.strip_prefix(&built).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let compressed = PathBuf::from(format!("{}.br", file.display()));
        let (kind, kept) = match files.binary_search(&compressed) {
            Ok(_) => ("Brotli", compressed.canonicalize()?),
            Err(_) => ("Plain", file.canonicalize()?),
        };
        let content = format!("Content::{kind}(Cow::Borrowed(include_bytes!({kept:?})))");
        let _ = writeln!(source, "    File {{ path: Cow::Borrowed({path:?}), content: {content} }},");
    }
    source.push_str("];\n");
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(out.join("console.rs"), source)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else if !entry.file_name().to_string_lossy().starts_with('.') {
            files.push(entry.path());
        }
    }
    Ok(())
}
