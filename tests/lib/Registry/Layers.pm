package Registry::Layers;
use v5.36;

# Layers by hand, byte by byte: ordinary ones, and such as nobody would make who means well. A layer
# is a hash: blob (bytes) or file (a path), diff_id, and perhaps tar (uncompressed bytes).

use Compress::Raw::Zlib ();
use Exporter 'import';
use IO::Compress::Gzip ();
use Registry::Client ();
use Registry::Tools;

our @EXPORT = qw(tar_entry tar_end tar_of pax_records plain_layer gzip_layer raw_layer file_layer packed_by
    gzip_of gzip_each zeros_in_gzip one_block_of_zeros skippable_frame push_layers write_layout);

# ---- tars ----

# An octal number in a field of n bytes; one that doesn't fit, as GNU writes it, in base 256.
sub _number ($v, $n) {
    my $text = sprintf '%0*o', $n - 1, $v;
    return "$text\0" if length $text < $n;
    return "\x80" . substr "\0" x 12 . pack('Q>', $v), -($n - 1);
}

sub _padded ($bytes) { return $bytes . "\0" x (-length($bytes) % 512) }

sub _header (%o) {
    my $magic = { ustar => "ustar\00000", gnu => "ustar  \0", v7 => "\0" x 8 }->{ $o{format} };
    my $h = pack 'a100 a8 a8 a8 a12 a12 A8 a1 a100 a8 a32 a32 a8 a8 a155 x12',
        $o{name}, _number($o{mode}, 8), _number($o{uid}, 8), _number($o{gid}, 8), _number($o{size}, 12),
        _number($o{mtime}, 12), '', $o{type}, $o{link}, $magic, '', '', _number($o{major}, 8), _number($o{minor}, 8),
        $o{prefix};
    substr $h, 257, 255, "\0" x 255 if $o{format} eq 'v7';
    my $sum = unpack '%32C*', $h;
    substr $h, 148, 8, sprintf "%06o\0 ", $sum;
    return $h;
}

# Records of a pax header, sorted; values may have any bytes.
sub pax_records (%records) {
    my $text = '';
    for my $key (sort keys %records) {
        my $line = " $key=$records{$key}\n";
        my $n    = length $line;
        $n++ while length($n) + length($line) > $n;
        $text .= "$n$line";
    }
    return $text;
}

# An entry: header, data, and what has to come before them. Options:
#   name, link     more than 100 bytes go into L and K (gnu), pax records, or are cut (v7, ustar)
#   type           '0' file, '1' hard link, '2' symlink, '3' '4' devices, '5' directory, '6' fifo
#   data           of a file; size: what the header says of it, if that is to be a lie
#   mode uid gid mtime major minor
#   format         ustar (default), gnu, v7, pax; pax => { … } more records, in front of any of them
sub tar_entry (%o) {
    %o = (type => '0', data => '', mode => 0644, uid => 0, gid => 0, mtime => 1_000_000_000, link => '', prefix => '',
        format => 'ustar', major => 0, minor => 0, %o);
    $o{size} //= length $o{data};
    my $before = '';
    my %pax    = %{ $o{pax} // {} };
    if ($o{format} eq 'pax') {
        $pax{path}     //= $o{name} if length $o{name} > 100 || $o{name} =~ /[^ -~]/;
        $pax{linkpath} //= $o{link} if length $o{link} > 100 || $o{link} =~ /[^ -~]/;
        for (qw(uid gid)) { ($pax{$_} //= $o{$_}, $o{$_} = 0) if $o{$_} > 07777777 }
        ($pax{size} //= $o{size}, $o{size} = 0) if $o{size} >= 1 << 33;
        $o{format} = 'ustar';
    }
    if ($o{format} eq 'gnu') {
        $before .= _long('K', $o{link}) if length $o{link} > 100;
        $before .= _long('L', $o{name}) if length $o{name} > 100;
    }
    if (%pax) {
        my $records = pax_records(%pax);
        $before .= _header(%o, name => 'PaxHeader', type => 'x', size => length $records, link => '') . _padded($records);
    }
    return $before . _header(%o) . _padded($o{data});
}

sub _long ($type, $text) {
    my %plain = (mode => 0, uid => 0, gid => 0, mtime => 0, link => '', major => 0, minor => 0, prefix => '');
    return _header(%plain, format => 'gnu', name => '././@LongLink', type => $type, size => 1 + length $text)
        . _padded("$text\0");
}

sub tar_end () { return "\0" x 1024 }

# A tar of lines, as the unit tests' fixture: "f PATH TEXT", "d PATH", "l PATH TARGET", "h PATH
# TARGET", "p PATH", "c PATH"; hashes are options of tar_entry.
sub tar_of (@entries) {
    my %type = (f => '0', h => '1', l => '2', c => '3', d => '5', p => '6');
    my $tar  = '';
    for my $entry (@entries) {
        if (ref $entry) { $tar .= tar_entry(%$entry); next }
        my ($kind, $name, $rest) = $entry =~ /^(\w) (\S+)(?: (.*))?$/s or die "what is '$entry'?";
        my %o = (name => $name, type => $type{$kind}, format => 'gnu', mode => $kind eq 'd' ? 0755 : $kind eq 'l' ? 0777 : 0644);
        $o{data} = $rest // '' if $kind eq 'f';
        $o{link} = $rest // '' if $kind =~ /[hl]/;
        $tar .= tar_entry(%o);
    }
    return $tar . tar_end();
}

# ---- their compression ----

sub gzip_of ($bytes, $level = 6) {
    IO::Compress::Gzip::gzip(\$bytes, \my $packed, -Level => $level, -Minimal => 1) or die 'gzip';
    return $packed;
}

# Members of a gzip file, one for each piece.
sub gzip_each (@pieces) { return join '', map { gzip_of($_) } @pieces }

# By a program that packs its stdin.
sub packed_by ($bytes, @command) {
    my $ran = run([@command], stdin => $bytes);
    die "@command: $ran->{err}" if $ran->{exit} || $ran->{signal};
    return $ran->{out};
}

sub _deflate ($bytes, $flush) {
    my ($d) = Compress::Raw::Zlib::Deflate->new(-WindowBits => -15, -Level => 9, -AppendOutput => 1);
    my $out = '';
    $d->deflate($bytes, $out);
    $d->flush($out, $flush);
    return $out;
}

my $GZIP_HEADER = "\x1f\x8b\x08\0\0\0\0\0\0\xff";

# These bytes and so many megabytes of zeros behind them, by gzip: in no time, since it is the same
# block again and again.
sub zeros_in_gzip ($first, $megabytes) {
    my $zeros = "\0" x (1 << 20);
    my $crc   = Compress::Raw::Zlib::crc32($first);
    my $one   = Compress::Raw::Zlib::crc32($zeros);
    $crc = Compress::Raw::Zlib::crc32_combine($crc, $one, 1 << 20) for 1 .. $megabytes;
    return $GZIP_HEADER . _deflate($first, Compress::Raw::Zlib::Z_FULL_FLUSH())
        . _deflate($zeros, Compress::Raw::Zlib::Z_FULL_FLUSH()) x $megabytes
        . _deflate('', Compress::Raw::Zlib::Z_FINISH())
        . pack('V V', $crc, (length($first) + ($megabytes << 20)) & 0xffffffff);
}

# The same in one block of deflate with fixed codes: nowhere can a decoder begin but in front. The
# zeros are as many as make 8 * 258 * n bytes.
sub one_block_of_zeros ($first, $n) {
    my $literal = sub ($v) { return $v < 144 ? sprintf '%08b', 0x30 + $v : sprintf '%09b', 0x190 + $v - 144 };
    my $bits    = '110' . join '', map { $literal->($_) } unpack('C*', $first), 0;
    my $matches = '1100010100000' x 8;    # 258 bytes, from one byte before; 104 bits
    my $shift   = -length($bits) % 8;
    $bits .= substr $matches, 0, $shift;
    my $turned = substr($matches, $shift) . substr $matches, 0, $shift;
    my $body   = pack('b*', $bits) . pack('b*', $turned) x $n;
    # One more match, cut where the rest of the one that was begun ends.
    my $tail = pack 'b*', substr($matches, $shift) . '0000000';
    my $zeros = 1 + 8 * 258 * ($n + 1);
    my $crc   = Compress::Raw::Zlib::crc32($first);
    my $chunk = 1 << 20;
    my $one   = Compress::Raw::Zlib::crc32("\0" x $chunk);
    $crc = Compress::Raw::Zlib::crc32_combine($crc, $one, $chunk) for 1 .. int($zeros / $chunk);
    $crc = Compress::Raw::Zlib::crc32("\0" x ($zeros % $chunk), $crc);
    return $GZIP_HEADER . $body . $tail . pack('V V', $crc, (length($first) + $zeros) & 0xffffffff);
}

sub skippable_frame ($bytes) { return pack('V V', 0x184d2a50, length $bytes) . $bytes }

# ---- layers ----

sub plain_layer ($tar) { return { blob => $tar, tar => $tar, diff_id => digest($tar), type => 'layer' } }
sub gzip_layer ($tar)  { return { blob => gzip_of($tar), tar => $tar, diff_id => digest($tar), type => 'layer_gzip' } }

# Any bytes; diff_id is made up when there is no tar to them.
sub raw_layer ($blob, $tar = $blob) { return { blob => $blob, tar => $tar, diff_id => digest($tar), type => 'layer_gzip' } }
sub file_layer ($file, $diff_id = 'sha256:' . '0' x 64) { return { file => $file, diff_id => $diff_id, type => 'layer_gzip' } }

sub _descriptor ($layer) {
    my $type = $Registry::Client::TYPE{ $layer->{type} };
    return { mediaType => $type, digest => file_digest($layer->{file}), size => -s $layer->{file} } if defined $layer->{file};
    my %urls = $layer->{urls} ? (urls => $layer->{urls}) : ();
    return { mediaType => $type, digest => digest($layer->{blob}), size => length $layer->{blob}, %urls };
}

sub _documents (@layers) {
    my $config = json_of({
        architecture => 'amd64', os => 'linux', config => {},
        rootfs => { type => 'layers', diff_ids => [ map { $_->{diff_id} } @layers ] },
    });
    my $manifest = json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest},
        config => Registry::Client->descriptor('config', $config), layers => [ map { _descriptor($_) } @layers ],
    });
    return ($config, $manifest);
}

# An image of these layers, bottom first; those with urls aren't pushed. Dies when it isn't taken;
# returns its manifest's digest.
sub push_layers ($registry, $repository, $tag, @layers) {
    my ($config, $manifest) = _documents(@layers);
    for my $layer (@layers) {
        my $d = _descriptor($layer);
        next if $layer->{urls} || $registry->head("/v2/$repository/blobs/$d->{digest}")->status == 200;
        my $body = $layer->{blob};
        if (defined $layer->{file}) {
            open my $in, '<:raw', $layer->{file} or die "$layer->{file}: $!";
            $body = sub { my $piece; return read($in, $piece, 1 << 20) ? $piece : undef };
        }
        my $pushed = $registry->push_blob($repository, $body, way => 'put', digest => $d->{digest}, length => $d->{size});
        die 'a layer: ' . $pushed->describe if $pushed->status != 201;
    }
    my $pushed = $registry->push_blob($repository, $config, way => 'put');
    die 'a config: ' . $pushed->describe if $pushed->status != 201;
    my $put = $registry->put_manifest($repository, $tag, $manifest);
    die 'a manifest: ' . $put->describe if $put->status != 201;
    return digest($manifest);
}

# The same as an OCI layout, for other programs.
sub write_layout ($dir, $tag, @layers) {
    my ($config, $manifest) = _documents(@layers);
    mkdir $_ for $dir, "$dir/blobs", "$dir/blobs/sha256";
    for my $layer (@layers) {
        my $to = "$dir/blobs/sha256/" . _descriptor($layer)->{digest} =~ s/.*://r;
        defined $layer->{file} ? (-e $to || link($layer->{file}, $to) || die "$to: $!") : spew($to, $layer->{blob});
    }
    spew("$dir/blobs/sha256/" . digest($_) =~ s/.*://r, $_) for $config, $manifest;
    my $entry = Registry::Client->descriptor('manifest', $manifest);
    $entry->{annotations} = { 'org.opencontainers.image.ref.name' => $tag };
    spew("$dir/index.json", json_of({ schemaVersion => 2, manifests => [$entry] }));
    spew("$dir/oci-layout", json_of({ imageLayoutVersion => '1.0.0' }));
    return digest($manifest);
}

1;
