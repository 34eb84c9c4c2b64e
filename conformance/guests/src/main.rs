//! `servos-hostile-guests FOLDER`: writes every hostile guest into a folder, as `FAULT.wasm`.

use std::path::PathBuf;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).context("give a folder for the guests")?;
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for guest in servos_hostile_guests::all() {
        let path = folder.join(format!("{}.wasm", guest.fault));
        std::fs::write(&path, &guest.wasm).with_context(|| path.display().to_string())?;
        println!("{}  (the kit's check: {})", path.display(), guest.check);
    }
    Ok(())
}
