//! Rotated files, compressed with zstd. Each block of a file is a frame of its own, and a last
//! frame, which every decoder skips, lists them and the transactions: so a reader begins anywhere,
//! leaves out files without the transaction that it looks for, and `zstd -d` works.

mod listed;

use consorcio_core::limits::{
    COMPRESSED_FRAMES_MAX, COMPRESSED_IDS_MAX, STEP_ZSTD_BLOCK_BYTES, STEP_ZSTD_LEVEL,
};
use listed::ListedLines;
use std::ffi::OsString;
#[cfg(test)]
use std::fs;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zstd::stream::read::Decoder;

/// The number with which a frame begins that decoders skip.
const SKIPPED_MAGIC: u32 = 0x184D_2A5C;

/// The lines of a frame, but for the last one.
const BLOCK_BYTES: u64 = STEP_ZSTD_BLOCK_BYTES as u64;

/// The size of magic and length, before the content of a skipped frame.
const SKIPPED_HEADER: u64 = 8;

/// The size of the numbers at the end of the list: of ended transactions, frames and ids.
const LIST_END: u64 = 16;

/// The list of the frames of a compressed file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FrameList {
    /// The bytes of each frame: compressed, and as lines.
    frames: Vec<(u32, u32)>,
    /// The hashes of the transactions in the file, ascending; `None` if there are too many.
    ids: Option<Vec<u32>>,
    /// How many transactions end in the file.
    pub(crate) transactions: u64,
}

/// The numbers at the end of a list.
struct ListEnd {
    transactions: u64,
    frames: u32,
    ids: Option<u32>,
}

impl ListEnd {
    /// Reads them, and leaves the file at the first frame of the list; `None` if another program
    /// compressed it.
    fn read(file: &mut File) -> io::Result<Option<ListEnd>> {
        let length = file.metadata()?.len();
        if length < SKIPPED_HEADER + LIST_END {
            return Ok(None);
        }
        file.seek(SeekFrom::End(-16))?;
        let mut end = [0; 16];
        file.read_exact(&mut end)?;
        let (frames, ids) = (u32_of(&end[8..12]), u32_of(&end[12..]));
        let ids = Some(ids).filter(|ids| *ids != TOO_MANY);
        let bytes = u64::from(frames) * 8 + u64::from(ids.unwrap_or(0)) * 4 + LIST_END;
        let is_within =
            frames <= COMPRESSED_FRAMES_MAX && ids.is_none_or(|ids| ids <= COMPRESSED_IDS_MAX);
        if !is_within || bytes + SKIPPED_HEADER > length {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(length - bytes - SKIPPED_HEADER))?;
        let mut header = [0; 8];
        file.read_exact(&mut header)?;
        let is_list =
            u32_of(&header[..4]) == SKIPPED_MAGIC && u64::from(u32_of(&header[4..])) == bytes;
        Ok(is_list.then(|| ListEnd { transactions: u64_of(&end[..8]), frames, ids }))
    }
}

/// How many transactions end in the file; 0 if another program compressed it.
///
/// # Errors
/// If it can't be read.
pub(crate) fn transactions_of(file: &mut File) -> io::Result<u64> {
    Ok(ListEnd::read(file)?.map_or(0, |end| end.transactions))
}

impl FrameList {
    /// The list of the file; `None` if another program compressed it.
    pub(crate) fn read(file: &mut File) -> io::Result<Option<FrameList>> {
        let Some(ListEnd { transactions, frames, ids }) = ListEnd::read(file)? else {
            return Ok(None);
        };
        let mut list = Vec::new();
        file.read_to_end(&mut list)?;
        let (frames, rest) = list.split_at(8 * usize::try_from(frames).unwrap_or(0));
        let frames = frames.chunks_exact(8);
        let frames = frames.map(|pair| (u32_of(&pair[..4]), u32_of(&pair[4..]))).collect();
        let ids = ids.map(|ids| {
            let ids = &rest[..4 * usize::try_from(ids).unwrap_or(0)];
            ids.chunks_exact(4).map(u32_of).collect()
        });
        Ok(Some(FrameList { frames, ids, transactions }))
    }

    /// Whether the file may have lines about `tx`.
    fn may_have(&self, tx: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.binary_search(&hash(tx.as_bytes())).is_ok())
    }

    fn bytes(&self) -> Vec<u8> {
        let ids = self.ids.as_deref().unwrap_or_default();
        let content = self.frames.len() * 8 + ids.len() * 4 + 16;
        let mut list = SKIPPED_MAGIC.to_le_bytes().to_vec();
        list.extend(u32::try_from(content).unwrap_or(u32::MAX).to_le_bytes());
        for (compressed, plain) in &self.frames {
            list.extend(compressed.to_le_bytes());
            list.extend(plain.to_le_bytes());
        }
        ids.iter().for_each(|id| list.extend(id.to_le_bytes()));
        list.extend(self.transactions.to_le_bytes());
        list.extend(u32::try_from(self.frames.len()).unwrap_or(u32::MAX).to_le_bytes());
        let count = self.ids.as_ref().map(|ids| u32::try_from(ids.len()).unwrap_or(TOO_MANY));
        list.extend(count.unwrap_or(TOO_MANY).to_le_bytes());
        list
    }

    /// Where the frame with this offset of the lines begins, and the offset of its first line byte.
    fn frame_at(&self, offset: u64) -> (u64, u64) {
        let (mut begin, mut plain) = (0, 0);
        for (compressed, lines) in &self.frames {
            if plain + u64::from(*lines) > offset {
                break;
            }
            begin += u64::from(*compressed);
            plain += u64::from(*lines);
        }
        (begin, plain)
    }
}

/// In place of the number of ids, if they are not listed.
const TOO_MANY: u32 = u32::MAX;

/// FNV-1a, folded to 32 bits: it is in files, so it must never change.
fn hash(id: &[u8]) -> u32 {
    let of = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let [a, b, c, d, e, f, g, h] = id.iter().fold(0xcbf2_9ce4_8422_2325, of).to_le_bytes();
    u32::from_le_bytes([a, b, c, d]) ^ u32::from_le_bytes([e, f, g, h])
}

/// Whether the file at `path` may have lines about one of `txs`: certainly not, only if it is
/// compressed and lists others.
///
/// # Errors
/// If it can't be read.
pub(crate) fn may_have(path: &Path, txs: &[String]) -> io::Result<bool> {
    if path.extension().is_none_or(|end| end != "zst") {
        return Ok(true);
    }
    let list = FrameList::read(&mut File::open(path)?)?;
    Ok(list.is_none_or(|list| txs.iter().any(|tx| list.may_have(tx))))
}

fn u32_of(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

fn u64_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// The compressed file that follows a plain one: `x.log.1.zst` for `x.log.1`.
pub(crate) fn beside(plain: &Path) -> PathBuf {
    with_suffix(plain, ".zst")
}

/// The path of an unfinished compressed file.
pub(crate) fn unfinished(plain: &Path) -> PathBuf {
    with_suffix(plain, ".zst.tmp")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Writes a compressed copy of a file, and syncs it.
///
/// # Errors
/// If the file can't be read, or the copy written.
pub(crate) fn compress_to(mut input: File, copy: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut output = options.write(true).create(true).truncate(true).mode(0o600).open(copy)?;
    let mut list = FrameList::default();
    let mut block = Vec::with_capacity(STEP_ZSTD_BLOCK_BYTES);
    let mut lines = ListedLines::default();
    loop {
        block.clear();
        let most = u64::try_from(STEP_ZSTD_BLOCK_BYTES).unwrap_or(u64::MAX);
        (&mut input).take(most).read_to_end(&mut block)?;
        if block.is_empty() {
            break;
        }
        lines.take(&block);
        let frame = zstd::bulk::compress(&block, STEP_ZSTD_LEVEL)?;
        output.write_all(&frame)?;
        let size = |length: usize| u32::try_from(length).map_err(io::Error::other);
        list.frames.push((size(frame.len())?, size(block.len())?));
    }
    list.transactions = lines.ended;
    list.ids = lines.ids();
    output.write_all(&list.bytes())?;
    output.sync_all()
}

/// Compresses a file as the thread of a log does.
#[cfg(test)]
pub(crate) fn compress(plain: &Path) -> io::Result<()> {
    compress_to(File::open(plain)?, &beside(plain))?;
    fs::remove_file(plain)
}

/// The lines of a file, compressed or not.
pub(crate) enum LogReader {
    /// Lines as they were written.
    Plain(File),
    /// Lines out of the frames of a rotated file.
    Compressed(Box<Decoder<'static, BufReader<File>>>),
    /// Lines of a file without a list, and where in them the reader is. Another program compressed
    /// it, or it was cut.
    Unlisted(Box<Decoder<'static, BufReader<File>>>, u64),
}

impl LogReader {
    /// Opens the file at `path` at this offset of its lines. A plain file that was compressed
    /// meanwhile is read from its compressed one.
    ///
    /// # Errors
    /// If it can't be read.
    pub(crate) fn open(path: &Path, offset: u64) -> io::Result<LogReader> {
        let is_compressed = path.extension().is_some_and(|end| end == "zst");
        match File::open(path) {
            Ok(file) if is_compressed => LogReader::decode(file, offset),
            Ok(mut file) => {
                file.seek(SeekFrom::Start(offset))?;
                Ok(LogReader::Plain(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_compressed => {
                match File::open(beside(path)) {
                    Ok(file) => LogReader::decode(file, offset),
                    Err(_) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    fn decode(mut file: File, offset: u64) -> io::Result<LogReader> {
        let list = FrameList::read(&mut file)?;
        let is_listed = list.is_some();
        let (begin, plain) = list.map_or((0, 0), |list| list.frame_at(offset));
        if file.metadata()?.len() == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "an empty file"));
        }
        file.seek(SeekFrom::Start(begin))?;
        let mut decoder = Decoder::new(file)?;
        io::copy(&mut (&mut decoder).take(offset - plain), &mut io::sink())?;
        let decoder = Box::new(decoder);
        Ok(match is_listed {
            true => LogReader::Compressed(decoder),
            false => LogReader::Unlisted(decoder, offset),
        })
    }
}

impl Read for LogReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            LogReader::Plain(file) => file.read(bytes),
            LogReader::Compressed(decoder) => decoder.read(bytes),
            LogReader::Unlisted(decoder, at) => {
                let read = decoder.read(bytes)?;
                *at += u64::try_from(read).unwrap_or(0);
                // The last frame of a whole file is shorter than the others, or the list follows.
                let is_cut = read == 0 && !bytes.is_empty() && *at > 0 && *at % BLOCK_BYTES == 0;
                if is_cut {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was cut"));
                }
                Ok(read)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> String {
        format!("2026-11-22T05:38:51.123456Z outcome tx=t{number} COMMITTED seq={number}\n")
    }

    #[test]
    fn a_compressed_file_is_read_from_any_offset_and_by_any_decoder() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("servidor-1.log.1");
        let text: String = (0..60_000).map(line).collect();
        assert!(text.len() > 2 * STEP_ZSTD_BLOCK_BYTES);
        fs::write(&plain, &text).unwrap();
        compress(&plain).unwrap();
        let path = beside(&plain);
        assert!(!plain.exists() && !unfinished(&plain).exists());
        let compressed = fs::read(&path).unwrap();
        assert!(compressed.len() < text.len() / 5, "{}", compressed.len());
        assert_eq!(zstd::stream::decode_all(&compressed[..]).unwrap(), text.as_bytes());
        let list = FrameList::read(&mut File::open(&path).unwrap()).unwrap().unwrap();
        let frames = text.len().div_ceil(STEP_ZSTD_BLOCK_BYTES);
        assert_eq!((list.transactions, list.frames.len()), (60_000, frames));
        let has = |tx: &str| may_have(&path, &[tx.to_owned()]).unwrap();
        assert!((0..60_000).step_by(977).all(|number| has(&format!("t{number}"))));
        let wrong = (60_000..61_000).filter(|number| has(&format!("t{number}"))).count();
        assert!(wrong <= 2, "{wrong} of 1,000 other ids have the hash of one in the file");
        let last = text.len() - 1;
        for offset in [0, 1, STEP_ZSTD_BLOCK_BYTES, STEP_ZSTD_BLOCK_BYTES + 5, last, last + 1] {
            let mut read = String::new();
            let mut reader = LogReader::open(&path, u64::try_from(offset).unwrap()).unwrap();
            reader.read_to_string(&mut read).unwrap();
            assert!(read == text[offset..], "from {offset}");
        }
        // A file that was cut between two frames ends with an error, once its lines are read.
        let first = usize::try_from(list.frames[0].0).unwrap();
        fs::write(&path, &compressed[..first]).unwrap();
        let mut read = Vec::new();
        let error = LogReader::open(&path, 0).unwrap().read_to_end(&mut read).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(read == text.as_bytes()[..STEP_ZSTD_BLOCK_BYTES]);
        fs::write(&path, &compressed).unwrap();
        // A reader may have listed the plain file before it was compressed.
        let mut read = String::new();
        LogReader::open(&plain, 0).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn a_file_of_another_program_is_read_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("servidor-1.log.1.zst");
        fs::write(&path, zstd::stream::encode_all(&b"one\ntwo\n"[..], 3).unwrap()).unwrap();
        assert_eq!(FrameList::read(&mut File::open(&path).unwrap()).unwrap(), None);
        let mut read = String::new();
        LogReader::open(&path, 4).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, "two\n");
    }
}
