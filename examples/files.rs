//! A file to show and to download, with ranges and conditions: `curl -r 0-9 localhost:8080/readme`.

use seawall::prelude::*;

fn main() -> Result<()> {
    App::new()
        .get("/readme", async |c: Context| c.file("README.md").await)
        .get("/download", async |c: Context| c.attachment("README.md", "Lies mich.md").await)
        .run("127.0.0.1:8080")
}
