# The checksums of the first API: both kinds are verified, what is wrong is refused and harms nothing.
use v5.36;
use Digest::SHA qw(sha256_hex);
use IO::Compress::Gzip qw(gzip $GzipError);
use IO::Uncompress::Gunzip qw(gunzip);
use POSIX ();
use Registry limit => 240;
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start;
my $v1       = Registry::V1->new($registry);

sub seen ($image) { return $registry->get("/v1/images/$image->{id}/json")->status == 200 }

# JSON and layer of an image, without a checksum yet.
sub bring ($image) {
    my @answers = ($v1->put_json($image), $v1->put_layer($image));
    return $answers[0]->status == 200 && $answers[1]->status == 200;
}

# Bring, check, and be seen (or not).
sub is_verdict ($image, $status, $name, %sums) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $brought = bring($image);
    my $answer  = $v1->put_checksum($image, %sums);
    if ($status == 200) { is_status($answer, 200, $name) }
    else                { is_v1_error($answer, $status, $name) }
    is(seen($image), $status == 200 ? 1 : '', $status == 200 ? '... and it is seen' : '... and it is not seen');
    return $brought;
}

sub another ($sum) { return $sum =~ s/(.)$/$1 eq '0' ? '1' : '0'/er }

subtest 'what docker sends' => sub {
    my $n = 0;
    for my $name ('A sent', 'B sent', 'C', 'E') {
        my $image = image($name);
        my %none  = (payload => undef, tarsum => undef);
        # In an order in which each of them would be found out.
        ok(bring($image), "$name is brought");
        for my $sum (qw(payload tarsum tarsum_v1)) {
            my $header = $sum eq 'payload' ? 'payload' : 'tarsum';
            is_v1_error($v1->put_checksum($image, %none, $header => another($image->{$sum})), 400, "$sum, another");
            ok(!seen($image), '... hides it') if $n == 0;
        }
        is_v1_error($v1->put_checksum($image, tarsum => another($image->{tarsum})), 400, 'the payload is right and the tarsum is not');
        is_v1_error($v1->put_checksum($image, payload => another($image->{payload})), 400, '... or the other way round');
        is_v1_error($v1->put_checksum($image, %none), 400, 'none at all');
        is_status($v1->put_checksum($image, %none, tarsum => $image->{tarsum_v1}), 200, 'tarsum.v1');
        ok(seen($image), '... shows it');
        is_status($v1->put_checksum($image), 200, 'both, once more');
        is_status($v1->put_checksum($image, %none, payload => $image->{payload}), 200, 'the payload alone');
        is_status($v1->put_checksum($image, %none, tarsum => $image->{tarsum}), 200, 'the tarsum alone');
        is_v1_error($v1->put_checksum($image, payload => another($image->{payload})), 400, 'a wrong one, later');
        ok(seen($image), '... harms nothing that is good');
        $n++;
    }
};

subtest 'ways to say it' => sub {
    my ($wrong, $layer) = ('sha256:' . '0' x 64);
    my @ways = (
        [ 'in upper case',      payload => sub ($i) { 'sha256:' . uc($i->{payload} =~ s/.*://r) } ],
        [ 'in a list',          payload => sub ($i) { "$wrong, $i->{payload}" } ],
        [ 'in a list in JSON',  payload => sub ($i) { qq(["$wrong","$i->{payload}"]) } ],
        [ 'as X-Docker-Checksum', tarsum => sub ($i) { $i->{payload} } ],
        [ "the layer's own",    tarsum => sub ($i) { digest($i->{layer}) } ],
    );
    for my $way (@ways) {
        my ($what, $header, $value) = @$way;
        my $image = random_image();
        is_verdict($image, 200, $what, payload => undef, $header => $value->($image));
    }
    my @wrong = ('nonsense', 'sha256:', $wrong, 'md5:' . '0' x 32, 'tarsum+sha256:', 'tarsum+md5:0', 'tarsum.v7+sha256:' . '0' x 64,
        'x' x 5000, '["","x"]');
    for my $value (@wrong) {
        my $short = substr $value, 0, 30;
        is_verdict(random_image(), 400, "payload $short", payload => $value);
        is_verdict(random_image(), 400, "checksum $short", payload => undef, tarsum => $value);
    }
};

subtest 'after a mismatch' => sub {
    my $image = random_image();
    bring($image);
    is_v1_error($v1->put_checksum($image, payload => another($image->{payload})), 400, 'a mismatch');
    is_v1_error($v1->get("/v1/images/$image->{id}/$_"), 404, "$_: not there") for qw(json layer ancestry);
    is_v1_error($v1->put_tag('foo/bar', 'latest', $image->{id}), 404, 'nor can it be tagged');
    is_status($_->[1], 200, "again: $_->[0]") for $v1->push_image($image);
    ok(seen($image), 'is seen');

    my $other = random_image();
    bring($other);
    $v1->put_checksum($other, payload => another($other->{payload}));
    is_status($v1->put_checksum($other), 200, 'the right checksum alone mends it too');
    ok(seen($other), 'is seen');
};

subtest 'in the wrong order' => sub {
    my $image = random_image();
    is_v1_error($v1->put_checksum($image), 404, 'a checksum of nothing');
    is_v1_error($v1->put_layer($image), 404, 'a layer of nothing');
    $v1->put_json($image);
    is_v1_error($v1->put_checksum($image), 404, 'a checksum before the layer');
    is_tidy($registry);
};

# tarsum, once more: by its definition, over what tar and Go's writer store.
sub tarsum ($json, $tar, $version) {
    my ($at, @sums, %pax) = (0);
    my $long = {};
    while ($at < length $tar) {
        my $head = substr $tar, $at, 512;
        last if $head !~ /[^\0]/;
        my ($name, $mode, $uid, $gid, $size, $mtime, $type, $link, $magic, $uname, $gname, $major, $minor, $prefix) =
            unpack 'Z100 a8 a8 a8 a12 a12 x8 a1 Z100 a6 x2 Z32 Z32 a8 a8 Z155', $head;
        my $number = sub ($text) { $text =~ s/[\0 ]//gr };
        $size = oct $number->($size);
        my $data = substr $tar, $at + 512, $size;
        $at += 512 + $size + (-$size % 512);
        if ($type eq 'x') {
            while ($data =~ s/^(\d+) //) {
                my $record = substr $data, 0, $1 - length("$1 "), '';
                $pax{$1} = $2 if $record =~ /^(.*?)=(.*)\n\z/s;
            }
            next;
        }
        if ($type =~ /[LK]/) { $long->{$type} = $data =~ s/\0.*//sr; next }
        next if $type eq 'g';
        $name = "$prefix/$name" if $magic eq "ustar\0" && length $prefix;
        my $device = $type =~ /[34]/;
        my %is = (
            name => $long->{L} // $pax{path} // $name, mode => oct $number->($mode),
            uid => $pax{uid} // oct $number->($uid), gid => $pax{gid} // oct $number->($gid), size => $size,
            mtime => $pax{mtime} // oct $number->($mtime), typeflag => $type, linkname => $long->{K} // $pax{linkpath} // $link,
            uname => $pax{uname} // $uname, gname => $pax{gname} // $gname,
            devmajor => $device ? oct $number->($major) : 0, devminor => $device ? oct $number->($minor) : 0,
        );
        $is{mtime} =~ s/\..*//;
        my $fed = join '', map { $_ . $is{$_} } grep { $version == 0 || $_ ne 'mtime' }
            qw(name mode uid gid size mtime typeflag linkname uname gname devmajor devminor);
        if ($version == 1) {
            $fed .= join '', map { s/^SCHILY\.xattr\.//r . $pax{$_} } sort grep { /^SCHILY\.xattr\./ } keys %pax;
        }
        push @sums, sha256_hex($fed . $data);
        %pax  = ();
        $long = {};
    }
    return ($version ? 'tarsum.v1' : 'tarsum') . '+sha256:' . sha256_hex($json . join '', sort @sums);
}

sub tarred ($dir, @options) {
    my $made = run([ 'tar', '-C', $dir, @options, '-cf', '-', '.' ]);
    die $made->{err} if $made->{exit};
    return $made->{out};
}

# An image of that layer.
sub image_of ($layer) {
    my $image = random_image();
    $image->{layer}   = $layer;
    $image->{payload} = payload_of($image->{json}, $layer);
    return $image;
}

subtest 'tars of all kinds' => sub {
    my $dir = tempdir();
    mkdir "$dir/" . ('d' x 90);
    spew("$dir/" . ('d' x 90) . "/$_", "content of $_") for 'short', 'l' x 120;
    spew("$dir/plain", random_bytes(3000));
    spew("$dir/empty", '');
    symlink 'plain', "$dir/link";
    symlink 'x' x 150, "$dir/longlink";
    link "$dir/plain", "$dir/hard";
    POSIX::mkfifo("$dir/fifo", 0600);
    my %kinds = (
        gnu => [ '--format=gnu' ], pax => [ '--format=pax' ], 'old GNU' => [ '--format=oldgnu' ],
        'pax, xattrs, large ids' => [ '--format=pax', '--owner=somebody:3000000', '--group=some:3000000', '--pax-option=SCHILY.xattr.user.b:=2,SCHILY.xattr.user.a:=1' ],
        'other times' => [ '--format=gnu', '--mtime=@1234567890' ],
    );
    for my $kind (sort keys %kinds) {
        my $tar = tarred($dir, @{ $kinds{$kind} });
        gzip(\$tar, \my $zipped, -Minimal => 1) or die $GzipError;
        for my $version (0, 1) {
            for my $layer ($tar, $zipped) {
                my $image = image_of($layer);
                my $sum   = tarsum($image->{json}, $tar, $version);
                is_verdict($image, 400, "$kind, version $version: another sum", payload => undef, tarsum => another($sum));
                is_status($v1->put_checksum($image, payload => undef, tarsum => $sum), 200, '... the right one');
            }
        }
    }
    for my $with ([ 'xz', '-c' ], [ 'bzip2', '-c' ]) {
        my $tar = tarred($dir);
        my $ran = run($with, stdin => $tar);
        if (!defined $ran || $ran->{exit}) { pass("no $with->[0] here"); next }
        my $image = image_of($ran->{out});
        is_verdict($image, 200, "packed by $with->[0]", payload => undef, tarsum => tarsum($image->{json}, $tar, 0));
    }
};

subtest 'a tarsum that cannot be computed' => sub {
    my $any = 'tarsum+sha256:' . '0' x 64;
    my %odd = (
        'no tar'          => random_bytes(3000),
        'half a gzip'     => substr(random_image()->{layer}, 0, 150),
        'half a tar'      => substr(tar_of([ 'f', 'x' x 5000 ]), 0, 2000),
        'a gzip of noise' => do { my $noise = random_bytes(3000); gzip(\$noise, \my $zipped) or die $GzipError; $zipped },
    );
    for my $what (sort keys %odd) {
        is_verdict(image_of($odd{$what}), 200, "$what: the payload is enough", tarsum => $any);
        is_verdict(image_of($odd{$what}), 400, '... alone, it is a mismatch', payload => undef, tarsum => $any);
    }
    my $twice = tar_of([ 'f', 'one' ], [ './f', 'two' ]);
    my $image = image_of($twice);
    ok(bring($image), 'a name that is there twice');
    is_status($v1->put_checksum($image, tarsum => $any), 200, '... has no sum that could be wrong');
    ok(seen($image), '... is seen');
};

# Each value would take up to a minute.
subtest 'a hundred tarsums' => sub {
    my @any    = map { sprintf 'tarsum%s+sha256:%064x', $_ % 2 ? '' : '.v1', $_ } 1 .. 100;
    my $before = $registry->logged(qr/the tarsum of a layer can't be computed/);
    is_verdict(image_of(random_bytes(3000)), 400, 'of what has none', payload => undef, tarsum => join ',', @any[ 0 .. 69 ]);
    is($registry->logged(qr/the tarsum of a layer can't be computed/) - $before, 2, '... are computed once for each version');
    my $image = random_image();
    is_verdict($image, 200, 'one of many fits', payload => undef, tarsum => join ',', @any[ 0 .. 59 ], tarsum($image->{json}, do { gunzip(\$image->{layer}, \my $tar) or die; $tar }, 0));
};

# 1 GiB of zeros in a MiB, with a name that says nothing wrong: the child ends, the server doesn't.
subtest 'a bomb' => sub {
    my $zeros = "\0" x (1 << 20);
    my $head  = substr tar_of([ 'f', '' ]), 0, 512;
    substr $head, 124, 12, sprintf '%011o', 8 * (1 << 30);
    substr $head, 148, 8, ' ' x 8;
    substr $head, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $head;
    gzip(\$zeros, \my $piece, -Minimal => 1) or die $GzipError;
    gzip(\$head,  \my $first, -Minimal => 1) or die $GzipError;
    my $image = image_of($first . $piece x 1024);
    is_verdict($image, 200, 'the payload is enough', tarsum => 'tarsum+sha256:' . '0' x 64);
    is_status($registry->get('/healthz'), 200, 'the server is well');
};

is_tidy($registry);
finish();
