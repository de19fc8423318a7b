// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bailiwick-wasm-bindgen IN.wasm FOLDER NAME`: writes the module, its JavaScript and its types for a browser.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, folder, name] = arguments.as_slice() else {
        eprintln!("usage: bailiwick-wasm-bindgen IN.wasm FOLDER NAME");
        return ExitCode::from(2);
    };
    match write(input, folder, name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bailiwick-wasm-bindgen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(input: &str, folder: &str, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(input).out_name(name).typescript(true).remove_name_section(true).web(true)?;
    Ok(bindgen.generate(folder)?)
}
