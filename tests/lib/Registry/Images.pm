package Registry::Images;
use v5.36;

# Images on disk, as clients take them in: an OCI layout, and the archive that "docker load" reads.
# Made without a client and without a network.

use Archive::Tar ();
use Exporter 'import';
use IO::Compress::Gzip qw(gzip $GzipError);
use Registry::Client ();
use Registry::Tools;

our @EXPORT = qw(make_layout make_layout_index make_archive layout_digests);

# A layer: a tar of one file of so many bytes. The same note gives the same name, not the same bytes.
sub _layer ($size, $name) {
    my $tar = Archive::Tar->new;
    my %root = (uid => 0, gid => 0, uname => '', gname => '');
    $tar->add_data($name, cheap_bytes($size), { mode => 0644, mtime => 1_000_000_000, %root });
    my $path = tempdir() . '/layer.tar';
    $tar->write($path) or die $tar->error;
    my $bytes = slurp($path);
    unlink $path;
    return $bytes;
}

sub _config (@diff_ids) {
    return json_of({
        architecture => 'amd64', os => 'linux', created => '2024-01-01T00:00:00Z',
        config => { Cmd => ['/file-0'] }, rootfs => { type => 'layers', diff_ids => \@diff_ids },
        history => [ map { { created => '2024-01-01T00:00:00Z', created_by => 'a test' } } @diff_ids ],
    });
}

sub _store ($dir, $bytes) {
    mkdir $_ for $dir, "$dir/blobs", "$dir/blobs/sha256";
    spew("$dir/blobs/sha256/" . digest($bytes) =~ s/.*://r, $bytes);
    return;
}

# Config, layers and manifest of one image into a layout; the manifest.
sub _image ($dir, @sizes) {
    my (@diff_ids, @layers);
    for my $i (0 .. $#sizes) {
        my $tar = _layer($sizes[$i], "file-$i");
        gzip(\$tar, \my $zipped, -Level => 0, -Minimal => 1) or die $GzipError;
        push @diff_ids, digest($tar);
        push @layers,   Registry::Client->descriptor('layer_gzip', $zipped);
        _store($dir, $zipped);
    }
    my $config   = _config(@diff_ids);
    my $manifest = json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest},
        config => Registry::Client->descriptor('config', $config), layers => \@layers,
    });
    _store($dir, $_) for $config, $manifest;
    return $manifest;
}

sub _finish_layout ($dir, $type, $document, $tag) {
    my $entry = Registry::Client->descriptor($type, $document);
    $entry->{annotations} = { 'org.opencontainers.image.ref.name' => $tag };
    spew("$dir/index.json", json_of({ schemaVersion => 2, manifests => [$entry] }));
    spew("$dir/oci-layout", json_of({ imageLayoutVersion => '1.0.0' }));
    return digest($document);
}

# An OCI layout with one image, of layers of these sizes. Returns the manifest's digest.
sub make_layout ($dir, $tag, @sizes) { return _finish_layout($dir, 'manifest', _image($dir, @sizes), $tag) }

# The same with an index over two platforms. Returns the index's digest.
sub make_layout_index ($dir, $tag, @sizes) {
    my @entries;
    for my $architecture (qw(amd64 arm64)) {
        my $entry = Registry::Client->descriptor('manifest', _image($dir, @sizes));
        $entry->{platform} = { architecture => $architecture, os => 'linux' };
        push @entries, $entry;
    }
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => \@entries });
    _store($dir, $index);
    return _finish_layout($dir, 'index', $index, $tag);
}

# Every digest that a layout holds: what it needs to be the same image.
sub layout_digests ($dir) {
    opendir my $blobs, "$dir/blobs/sha256" or return ();
    return map { "sha256:$_" } sort grep { !/^\./ } readdir $blobs;
}

# The archive that "docker load" and "podman load" read. Returns the image's id (its config's digest).
sub make_archive ($path, $name, @sizes) {
    my $dir = tempdir();
    my (@diff_ids, @files);
    for my $i (0 .. $#sizes) {
        my $tar = _layer($sizes[$i], "file-$i");
        push @diff_ids, digest($tar);
        push @files,    "layer-$i.tar";
        spew("$dir/$files[-1]", $tar);
    }
    my $config = _config(@diff_ids);
    my $id     = digest($config);
    my $named  = $id =~ s/.*:(.*)/$1.json/r;
    spew("$dir/$named",        $config);
    spew("$dir/manifest.json", json_of([ { Config => $named, RepoTags => [$name], Layers => \@files } ]));
    my $made = run([ 'tar', '-cf', $path, '-C', $dir, $named, 'manifest.json', @files ]);
    die "tar: $made->{err}" if $made->{exit};
    unlink glob("$dir/*");
    return $id;
}

1;
