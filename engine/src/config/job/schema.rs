//! A job file with every key, commented out, for people who write one.

use super::wire::JOB_TABLES;

const HEAD: &str = "\
# A job file of `vitrail transcode --job FILE`: every table and key, with what it takes and what holds
# where it is left out. Paths begin in the folder of the file. Only [[task]] with its input and output is
# needed; take the mark of a comment away from what you want to say.
#
# [defaults] takes the keys of [[task]], except input and output, for all tasks.
";
/// Letters of a line.
const WIDTH: usize = 100;

/// Every table and key of a job file with its meaning, as TOML in comments.
pub fn job_schema() -> String {
    let mut text = HEAD.to_owned();
    for table in JOB_TABLES {
        text.push('\n');
        comment(&mut text, &unlinked(table.about));
        text.push_str(&format!("# {}\n", table.heading));
        for key in table.keys {
            text.push('\n');
            comment(&mut text, &unlinked(key.about));
            comment(&mut text, &format!("It takes {}; else: {}.", (key.kind)(), key.default));
            text.push_str(&format!("# {} =\n", key.name));
        }
    }
    text
}

/// Words on lines of comment.
fn comment(text: &mut String, words: &str) {
    let mut line = "#".to_owned();
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = "#".into();
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// Without the marks that only a page shows.
fn unlinked(about: &str) -> String {
    about.replace('`', "")
}
