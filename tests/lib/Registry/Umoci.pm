package Registry::Umoci;
use v5.36;

# Images made and unpacked by umoci, and what is in a directory, to compare: root only.

use Exporter 'import';
use JSON::PP ();
use Registry::Client ();
use Registry::Tools;

our @EXPORT = qw(umoci_image umoci_unpack push_layout snapshot);

sub _umoci ($dir, @args) {
    my $ran = run([ 'umoci', @args ], cwd => $dir, timeout => 300);
    die "umoci @args: $ran->{err}$ran->{out}" if $ran->{exit} || $ran->{signal};
    return;
}

# A layout in $dir with an image of a layer for each sub of @changes, which gets the root directory
# to change; the image after the n-th is tagged n, from 1 on.
sub umoci_image ($dir, @changes) {
    _umoci($dir, 'init', '--layout', 'layout');
    _umoci($dir, 'new', '--image', 'layout:0');
    _umoci($dir, 'unpack', '--image', 'layout:0', 'bundle');
    for my $i (1 .. @changes) {
        $changes[ $i - 1 ]->("$dir/bundle/rootfs");
        _umoci($dir, 'repack', '--refresh-bundle', '--image', "layout:$i", 'bundle');
    }
    return;
}

# Where the image of that tag was unpacked.
sub umoci_unpack ($dir, $tag) {
    _umoci($dir, 'unpack', '--image', "layout:$tag", "unpacked-$tag");
    return "$dir/unpacked-$tag/rootfs";
}

sub _file ($dir, $digest) { return "$dir/layout/blobs/sha256/" . $digest =~ s/.*://r }

# Pushes all images of the layout.
sub push_layout ($registry, $repository, $dir) {
    for my $entry (@{ JSON::PP::decode_json(slurp("$dir/layout/index.json"))->{manifests} }) {
        my $tag      = $entry->{annotations}{'org.opencontainers.image.ref.name'};
        my $manifest = slurp(_file($dir, $entry->{digest}));
        my $parsed   = JSON::PP::decode_json($manifest);
        next if !@{ $parsed->{layers} // [] };
        for my $part ($parsed->{config}, @{ $parsed->{layers} }) {
            next if $registry->head("/v2/$repository/blobs/$part->{digest}")->status == 200;
            my $pushed = $registry->push_blob($repository, slurp(_file($dir, $part->{digest})), way => 'put');
            die $pushed->describe if $pushed->status != 201;
        }
        my $put = $registry->put_manifest($repository, $tag, $manifest, $Registry::Client::TYPE{manifest});
        die $put->describe if $put->status != 201;
    }
    return;
}

# All that is below a directory: path => { type mode uid gid size mtime link device links content }, where
# mtime has its nanoseconds, links is how many names a file has, and content its digest.
sub snapshot ($dir) {
    my $format = '%P\0%y\0%#m\0%U\0%G\0%s\0%T@\0%n\0%l\0';
    my $ran    = run([ 'find', $dir, '-mindepth', '1', '-printf', $format ], timeout => 120);
    die "find: $ran->{err}" if $ran->{exit};
    my @fields = split /\0/, $ran->{out}, -1;
    my %all;
    while (@fields > 1) {
        my ($path, %is);
        ($path, @is{qw(type mode uid gid size mtime links link)}) = splice @fields, 0, 9;
        delete $is{size}  if $is{type} ne 'f';
        delete $is{links} if $is{type} eq 'd';
        delete $is{mode}  if $is{type} eq 'l';
        $is{content} = file_digest("$dir/$path") if $is{type} eq 'f';
        $is{device}  = (lstat "$dir/$path")[6]   if $is{type} =~ /[bc]/;
        $all{$path}  = \%is;
    }
    return \%all;
}

1;
