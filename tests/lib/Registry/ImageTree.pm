package Registry::ImageTree;
use v5.36;

# What a registry shows of an image's root file system, and what an unpacker makes of it: both as
# hashes by path (bytes, without slashes at the ends), so that they can be compared.

use Exporter 'import';
use Fcntl qw(:mode);
use File::Find ();
use JSON::PP ();
use MIME::Base64 qw(decode_base64);

our @EXPORT = qw(encoded_path image_tree unpacked_tree tree_differences);

sub encoded_path ($path) { return $path =~ s{([^A-Za-z0-9._~/-])}{sprintf '%%%02X', ord $1}ger }

# All of an image, by the listings of its directories, one request for each. base: what comes before
# "/tree/". Dies with the answer that isn't as it should be.
sub image_tree ($client, $base) {
    my $json       = JSON::PP->new->utf8;
    my $connection = $client->connect;
    my (%tree, @todo);
    push @todo, '';
    while (defined(my $dir = shift @todo)) {
        my $answer = $client->get("$base/tree/" . encoded_path($dir), on => $connection);
        if ($answer->status == 599) {    # the connection has served for long enough
            $connection = $client->connect;
            $answer     = $client->get("$base/tree/" . encoded_path($dir), on => $connection);
        }
        die "tree/$dir: " . $answer->describe if $answer->status != 200;
        my $last = '';
        for my $entry (@{ $json->decode($answer->content) }) {
            my $path   = _path_of($entry);
            my $is_dir = $path =~ s{/$}{};
            die "tree/$dir: '$path' after '$last'\n" if $path le $last;
            $last = $path;
            $entry->{linkname} = defined $entry->{linkname_b64} ? decode_base64($entry->{linkname_b64}) : _bytes($entry->{linkname})
                if defined $entry->{linkname};
            die "tree/$dir: '$path' isn't in it\n" if $path !~ m{^/\Q@{[ $dir eq '' ? '' : "$dir/" ]}\E[^/]+$}s;
            die "tree/$dir: '$path' is twice in it\n" if $tree{ $path =~ s{^/}{}r };
            die "tree/$dir: '$path' is a $entry->{type}\n" if $is_dir != ($entry->{type} eq 'directory');
            $path =~ s{^/}{};
            $tree{$path} = $entry;
            push @todo, $path if $is_dir;
        }
    }
    return \%tree;
}

sub _path_of ($entry) {
    return decode_base64($entry->{path_b64}) if defined $entry->{path_b64};
    return _bytes($entry->{path});
}

sub _bytes ($text) { utf8::encode($text); return $text }

my %TYPE = (S_IFREG, 'file', S_IFDIR, 'directory', S_IFLNK, 'symlink', S_IFCHR, 'character-device',
    S_IFBLK, 'block-device', S_IFIFO, 'fifo');

# A directory on disk.
sub unpacked_tree ($root) {
    my %tree;
    File::Find::find({
            no_chdir => 1,
            wanted   => sub {
                return if $File::Find::name eq $root;
                my ($dev, $inode, $mode, $links, $uid, $gid, undef, $size) = lstat $File::Find::name or die "lstat: $!";
                my $type = $TYPE{ S_IFMT($mode) };
                $tree{ substr $File::Find::name, 1 + length $root } = {
                    type => $type, mode => S_IMODE($mode), uid => $uid, gid => $gid, inode => $inode,
                    $type eq 'file'    ? (size     => $size) : (),
                    $type eq 'symlink' ? (linkname => readlink $File::Find::name) : (),
                };
            },
        }, $root);
    return \%tree;
}

# What isn't the same in both: sentences. A hard link is a file to whom it is unpacked.
sub tree_differences ($listed, $unpacked) {
    my @found;
    for my $path (sort keys %$unpacked) {
        my ($is, $was) = ($listed->{$path}, $unpacked->{$path});
        if (!$is) { push @found, "$path ($was->{type}) isn't listed"; next }
        my $type = $is->{type} eq 'link' ? 'file' : $is->{type};
        push @found, "$path is a $is->{type} and no $was->{type}" if $type ne $was->{type};
        for my $what (qw(mode uid gid)) {
            next if $what eq 'mode' && $type eq 'symlink';    # 0777 on every Linux, whatever the tar says
            push @found, "$path: $what is $is->{$what} and not $was->{$what}" if $is->{$what} != $was->{$what};
        }
        push @found, "$path: size is $is->{size} and not $was->{size}"
            if $type eq 'file' && $was->{type} eq 'file' && $is->{type} ne 'link' && $is->{size} != $was->{size};
        push @found, "$path leads to $is->{linkname} and not to $was->{linkname}"
            if $type eq 'symlink' && $was->{type} eq 'symlink' && $is->{linkname} ne $was->{linkname};
    }
    push @found, map { "$_ ($listed->{$_}{type}) was not unpacked" } grep { !$unpacked->{$_} } sort keys %$listed;
    return @found;
}

1;
